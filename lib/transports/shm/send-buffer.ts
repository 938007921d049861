/**
 * Where the small items of a batch lie for the addon to pick up: memory that it knows already. To ask one array after the other for
 * its memory costs it more than the copy into here.
 */
import { CODEC_RAW, encodeItemSpan, isPlainBytes } from '../../codec/registry';
import type { ItemCodec } from '../../codec/registry';
import { MAX_BATCH } from './addon';

/** First a table of (length, codec) pairs, then the items one after the other. */
const TABLE_WORDS = 2 * MAX_BATCH;
const FIRST_BYTE = TABLE_WORDS * Int32Array.BYTES_PER_ELEMENT;
const OUTBOX_BYTES = 64 * 1024;
/** Larger items are not worth the copy. */
const SMALL_BYTES = 1024;

/** One for all queues of a thread: what is packed is put before anything else is packed. */
let outbox: { memory: Buffer; table: Int32Array } | undefined;
/** What is put from within, by an item's getters or a codec, has to go another way. */
let packing = false;

function open(): { memory: Buffer; table: Int32Array } {
  if (outbox === undefined) {
    const memory = Buffer.allocUnsafeSlow(OUTBOX_BYTES);
    outbox = { memory, table: new Int32Array(memory.buffer, 0, TABLE_WORDS) };
  }
  return outbox;
}

/** For whole arrays; loaded once, since V8 looks methods of typed arrays up at each call. */
const { set } = Uint8Array.prototype;
/** For parts of a buffer, of which set() would need a view. */
const { copy } = Buffer.prototype;

/** For a handle to be told of. */
export const outboxMemory = (): Buffer => open().memory;

/**
 * Packs items from `from` on, as many as follow each other and are small: `mostBytes` or less, and not worth more than the copy. Returns how
 * many. One that is larger or cannot be encoded is left for the caller to meet on its own; so is every item that is put while another
 * is being encoded (by its getters, or a codec).
 */
export function packSmall(items: readonly unknown[], from: number, codec: ItemCodec, mostBytes: number): number {
  if (packing) return 0;
  const { memory, table } = open();
  const largest = Math.min(SMALL_BYTES, mostBytes);
  const count = Math.min(MAX_BATCH, items.length - from);
  let offset = FIRST_BYTE;
  let packed = 0;
  packing = true;
  // Most batches are bytes only. No try block lies around them: V8 works on typed arrays half as fast in one.
  for (; codec === 'auto' && packed < count && offset <= OUTBOX_BYTES - SMALL_BYTES; packed++) {
    const item = items[from + packed];
    if (!isPlainBytes(item)) break;
    const { length } = item;
    if (length === 0 || length > largest) break;
    set.call(memory, item, offset);
    table[2 * packed] = length;
    table[2 * packed + 1] = CODEC_RAW;
    offset += length;
  }
  try {
    for (; packed < count && offset <= OUTBOX_BYTES - SMALL_BYTES; packed++) {
      const { codecId, buffer, start, end } = encodeItemSpan(items[from + packed], codec);
      if (end - start > largest) break;
      copy.call(buffer, memory, offset, start, end);
      table[2 * packed] = end - start;
      table[2 * packed + 1] = codecId;
      offset += end - start;
    }
  } catch {
    // It comes first in the next batch, and fails again where its error belongs.
  } finally {
    packing = false;
  }
  return packed;
}
