/** Items on lease as they lie in their queue, so that one which this program cannot read is not lost to that. */
import { decodeItem } from '../../codec/registry';
import { isSealed } from '../../codec/encoded-item';
import { QueueEmptyError, QueueShutDownError, SerializationError } from '../../errors';
import { isEncodedLender } from '../../queue/encoded-source';
import { endLeases, HeldBatch } from '../../queue/lease-batch';
import type { LeaseBatch, Queue, WaitOptions } from '../../queue/types';
import { sealedItems } from '../../transports/rpc/wire/item-batch';

/** On lease together. */
const MOST_BYTES = 4 * 1024 * 1024;

/** As leaseMany; of a queue that lends them so, the items are as they lie, for readItem(). */
export async function leaseItems(queue: Queue, max: number, wait: WaitOptions): Promise<LeaseBatch<unknown>> {
  if (isEncodedLender(queue)) {
    const leases = await queue.leaseEncoded(max, MOST_BYTES, wait);
    return new HeldBatch<unknown>(sealedItems(leases.items), leases.run);
  }
  try {
    return await queue.leaseMany(max, wait);
  } catch (error) {
    throw withBytes(error);
  }
}

/** Of what is there. Undefined: nothing. */
export async function leaseThere(queue: Queue, max: number): Promise<LeaseBatch<unknown> | undefined> {
  try {
    return await leaseItems(queue, max, { block: false });
  } catch (error) {
    if (error instanceof QueueEmptyError || error instanceof QueueShutDownError) return undefined;
    throw error;
  }
}

/**
 * How many there are to move. What comes meanwhile stays: it may be what was moved, where another name leads to the same queue, or
 * where somebody puts it back. Whose token may not ask is told no number.
 */
export const sizeToMove = (queue: Queue): Promise<number> => queue.qsize().catch(() => Infinity);

/** @throws SerializationError; the item is on lease still */
export function readItem(item: unknown): unknown {
  if (!isSealed(item)) return item;
  const { bytes } = item;
  return decodeItem(item.codec, bytes, 0, bytes.length, 'It is still in the queue');
}

/**
 * What `read` makes of the items, up to the first that cannot be read: from that one on they are back in their queue as if they had not been
 * lent, and `failure` says why.
 */
export async function readBatch<R>(
  batch: LeaseBatch<unknown>,
  read: (item: unknown) => R,
): Promise<{ found: R[]; failure?: { error: unknown } }> {
  const found: R[] = [];
  const { items } = batch;
  try {
    for (const item of items) found.push(read(item));
    return { found };
  } catch (error) {
    await endLeases(batch, found.length, items.length, 'undo');
    return { found, failure: { error } };
  }
}

/** The queue has removed the item, and this is all that is left of it. */
function withBytes(error: unknown): unknown {
  if (!(error instanceof SerializationError) || error.bytes === undefined) return error;
  const { message, bytes, codecId } = error;
  const left = Buffer.from(bytes).toString('base64');
  return new SerializationError(`${message} What is left of it, as base64: ${left}`, { cause: error, bytes, codecId });
}
