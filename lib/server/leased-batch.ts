import type { ItemBatch } from '../transports/rpc/wire/item-batch';

/** What the queue knows of each item of a batch. */
export interface Counts {
  /** How often it has been delivered; undefined: all of them for the first time. */
  readonly deliveries: number[] | undefined;
  /** Proved deaths of processes that held it; undefined: none of any. */
  readonly crashes: number[] | undefined;
}

export const fresh: Counts = { deliveries: undefined, crashes: undefined };

export function countsOf(
  count: number,
  deliveries: (index: number) => number,
  crashes: (index: number) => number,
): Counts {
  const column = (of: (index: number) => number, usual: number): number[] | undefined => {
    let index = 0;
    while (index < count && of(index) === usual) index++;
    return index === count ? undefined : Array.from({ length: count }, (_, at) => of(at));
  };
  return { deliveries: column(deliveries, 1), crashes: column(crashes, 0) };
}

/** Items on lease to a session, taken together. */
export interface LeasedBatch {
  readonly items: ItemBatch;
  readonly counts: Counts;
  /** Ends the leases from … to - 1, none of which has ended yet. */
  ack(from: number, to: number): void | Promise<void>;
  /** … in order, ahead of what was not taken yet. @param seen false: where the queue can, as if they had not been delivered */
  release(from: number, to: number, seen: boolean): void | Promise<void>;
}
