/** Items that a consumer has on lease, and the end of those leases: as few calls as the moment allows. */
import type { SerializationError } from '../errors';
import { canUndo, HeldBatch, setAside } from '../queue/lease-batch';
import { LeaseRun } from '../queue/lease-table';
import type { Lease, LeaseBatch } from '../queue/types';
import { dueAtMsOf, readRecord } from './retry-record';
import type { RetryRecord } from './retry-record';

/** One batch of leases; while none of them has ended by itself, one call may end all. */
interface Origin {
  readonly batch: LeaseBatch<unknown>;
  readonly count: number;
  /** Acknowledged in this turn and not yet told to the queue. */
  finished: HeldItem<unknown>[];
  /** Why the item is bytes that nobody can handle; undefined: it is one. */
  readonly undecodable?: SerializationError;
}

export interface HeldItem<T> {
  readonly item: T;
  readonly lease: Lease<unknown>;
  readonly origin: Origin;
  /** Its place in that batch. */
  readonly index: number;
  /** Of this delivery and those before the item was put again. */
  readonly deliveries: number;
  readonly crashes: number;
  /** A record's: milliseconds since the epoch. Undefined: the item was given back, or is fresh. */
  readonly dueAtMs: number | undefined;
  /** It waits here, and nobody has begun with it: should this process die, it comes again as if it had not been taken. */
  aside: boolean;
}

export const isFresh = ({ deliveries, crashes }: HeldItem<unknown>): boolean => deliveries === 1 && crashes === 0;

export function holdItems<T>(batch: LeaseBatch<unknown>): HeldItem<T>[] {
  const origin: Origin = { batch, count: batch.items.length, finished: [] };
  return batch.leases.map((lease, index) => {
    const found = readRecord(lease.item);
    return {
      item: (found === undefined ? lease.item : found.item) as T,
      lease,
      origin,
      index,
      deliveries: lease.deliveries + (found?.record.deliveries ?? 0),
      crashes: lease.crashes + (found?.record.crashes ?? 0),
      dueAtMs: found !== undefined && lease.deliveries === 1 ? dueAtMsOf(found.record) : undefined,
      aside: false,
    };
  });
}

/** What is left of an item that could not be decoded: it is out of its queue, which does not take it back. */
export function holdBytes<T>(undecodable: SerializationError, bytes: Uint8Array): HeldItem<T> {
  const nowhere = new LeaseRun(1, { end: () => undefined, deliveries: () => 1, crashes: () => 0 });
  const [held] = holdItems<T>(new HeldBatch([bytes], nowhere)) as [HeldItem<T>];
  return { ...held, origin: { ...held.origin, undecodable } };
}

/** Whether it is in its queue once its lease has ended, as if it had not been taken, or is put there anew. */
export const goesBack = ({ origin }: HeldItem<unknown>): boolean => canUndo(origin.batch);

/** What whoever took the record would hold, for an item whose queue did not take it. */
export const asItComesAgain = <T>(held: HeldItem<T>, { deliveries, dueAtMs }: RetryRecord): HeldItem<T> => ({
  ...held,
  deliveries: deliveries + 1,
  dueAtMs,
});

export function putAside(held: HeldItem<unknown>): void {
  if (held.aside) return;
  held.aside = true;
  setAside(held.origin.batch, held.index, true);
}

/** From here on a death of this process may be its work. */
export function beginWith(held: HeldItem<unknown>): void {
  if (!held.aside) return;
  held.aside = false;
  setAside(held.origin.batch, held.index, false);
}

/** Collects the acknowledgements of one turn of the microtask queue: a batch whose items all end in it costs one call. */
export class Acknowledgements {
  private origins: Origin[] = [];

  /** @param ended is told of each call under way and of the items it is for. */
  constructor(private readonly ended: (call: Promise<void>, items: readonly HeldItem<unknown>[]) => void) {}

  add(held: HeldItem<unknown>): void {
    if (held.origin.finished.push(held) > 1) return;
    if (this.origins.push(held.origin) === 1) queueMicrotask(this.flush);
  }

  /** Nothing is kept back. */
  get isEmpty(): boolean {
    return this.origins.length === 0;
  }

  private readonly flush = (): void => {
    // Empty once all have been told: until then something is kept back.
    for (const origin of this.origins) {
      const { finished } = origin;
      origin.finished = [];
      if (finished.length === origin.count) this.ended(acknowledge(origin.batch), finished);
      else for (const held of finished) this.ended(acknowledge(held.lease), [held]);
    }
    this.origins = [];
  };
}

/** One of somebody's own may throw at once. */
function acknowledge(lent: Lease<unknown> | LeaseBatch<unknown>): Promise<void> {
  try {
    return lent.ack();
  } catch (error) {
    return Promise.reject(error as Error);
  }
}
