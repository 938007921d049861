/** What was taken out of a queue for a delivery, whatever way it was lent. */
import { SealedItem } from '../codec/encoded-item';
import { encodeItem } from '../codec/registry';
import type { EncodedItem } from '../codec/registry';
import type { EncodedLeases } from '../queue/encoded-source';
import { endLeases } from '../queue/lease-batch';
import { LeaseRun } from '../queue/lease-table';
import type { LeaseBatch } from '../queue/types';
import { ItemBatch } from '../transports/rpc/wire/item-batch';
import type { LeasedBatch } from './leased-batch';

/** The most items in one delivery, however short they are. */
export const DELIVERY_ITEMS = 16_384;

export interface Taken {
  leased: LeasedBatch;
  /** There was more than fits into one delivery. */
  more: boolean;
}

export const takenOf = ({ run, items, more }: EncodedLeases, max: number): Taken => ({
  leased: { run, items: 'data' in items ? ItemBatch.over(items.data, items.ends, items.codecs) : joined(items) },
  more: run.count < max && (more || run.count === DELIVERY_ITEMS),
});

/** As one batch; what came over the wire together leaves as it is. */
function joined(items: readonly (SealedItem | EncodedItem)[]): ItemBatch {
  const parts: ItemBatch[] = [];
  let batch: ItemBatch | undefined;
  let from = 0;
  let to = 0;
  const endPart = (): void => {
    if (batch !== undefined) parts.push(batch.slice(from, to));
    batch = undefined;
  };
  for (const item of items) {
    if (item instanceof SealedItem && item.batch instanceof ItemBatch) {
      if (item.batch !== batch || item.index !== to) {
        endPart();
        batch = item.batch;
        from = item.index;
      }
      to = item.index + 1;
    } else {
      endPart();
      parts.push(ItemBatch.single(item instanceof SealedItem ? encodeItem(item) : item));
    }
  }
  endPart();
  return ItemBatch.join(parts);
}

/** One item and those after it as one run. */
export function both(first: LeasedBatch, rest: LeasedBatch): LeasedBatch {
  const items = ItemBatch.join([first.items, rest.items]);
  const later = (from: number, to: number): [number, number] => [Math.max(from, 1) - 1, to - 1];
  const run = new LeaseRun(items.count, {
    end: (from, to, acknowledge) =>
      rest.run.end(...later(from, to), acknowledge, from > 0 ? undefined : first.run.end(0, 1, acknowledge)),
    undo: (from, to) => rest.run.undo(...later(from, to), from > 0 ? undefined : first.run.undo(0, 1)),
    deliveries: (index) => (index === 0 ? first.run.held.deliveries(0) : rest.run.held.deliveries(index - 1)),
    crashes: (index) => (index === 0 ? first.run.held.crashes(0) : rest.run.held.crashes(index - 1)),
  });
  return { items, run };
}

/** @param requeue for items that were taken for good and are not wanted */
export function lent(batch: LeaseBatch<unknown>, items: ItemBatch, requeue: (items: ItemBatch) => void): LeasedBatch {
  const { leases } = batch;
  const ack = async (from: number, to: number): Promise<void> => {
    const outcomes = await Promise.allSettled(leases.slice(from, to).map((lease) => lease.ack()));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return;
    // They stand or fall together: the client will have none of them.
    for (let index = to - 1; index >= from; index--)
      if (outcomes[index - from]!.status === 'fulfilled') requeue(items.slice(index, index + 1));
    throw failed.reason;
  };
  const run = new LeaseRun(items.count, {
    end: (from, to, acknowledge) => (acknowledge ? ack(from, to) : endLeases(batch, from, to, 'release')),
    undo: (from, to) => endLeases(batch, from, to, 'undo'),
    deliveries: (index) => leases[index]!.deliveries,
    crashes: (index) => leases[index]!.crashes,
  });
  return { items, run };
}
