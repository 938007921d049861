import type { LeaseRun } from '../queue/lease-table';
import type { ItemBatch } from '../transports/rpc/wire/item-batch';

/** Items on lease to a session, taken together. */
export interface LeasedBatch {
  readonly items: ItemBatch;
  readonly run: LeaseRun;
}

/** What the queue knows of the items of a run, as it goes over the wire. */
export interface Counts {
  /** How often each has been delivered; empty: all of them for the first time. */
  readonly deliveries: number[];
  /** Proved deaths of processes that held each; empty: none of any. */
  readonly crashes: number[];
}

export function countsOf({ count, held }: LeaseRun): Counts {
  const column = (of: (index: number) => number, usual: number): number[] => {
    let index = 0;
    while (index < count && of(index) === usual) index++;
    return index === count ? [] : Array.from({ length: count }, (_, at) => of(at));
  };
  return { deliveries: column((at) => held.deliveries(at), 1), crashes: column((at) => held.crashes(at), 0) };
}
