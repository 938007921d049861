/**
 * Where the small items of a batch lie for the addon to pick up: memory that it knows already. To ask one array after the other for
 * its memory costs it more than the copy into here.
 */
import { CODEC_RAW, encodeItemSpan, refuseDetached } from '../../codec';
import type { CodecName } from '../../codec';
import { MAX_BATCH } from '../../native';

/** First a table of (length, codec) pairs, then the items one after the other. */
const TABLE_WORDS = 2 * MAX_BATCH;
const FIRST_BYTE = TABLE_WORDS * Int32Array.BYTES_PER_ELEMENT;
const OUTBOX_BYTES = 64 * 1024;
/** Larger items are not worth the copy. */
const SMALL_BYTES = 1024;

/** One for all queues of a thread: what is packed is put before anything else is packed. */
let outbox: { memory: Buffer; table: Int32Array } | undefined;
let packing = false;

function open(): { memory: Buffer; table: Int32Array } {
  if (outbox === undefined) {
    const memory = Buffer.allocUnsafeSlow(OUTBOX_BYTES);
    outbox = { memory, table: new Int32Array(memory.buffer, 0, TABLE_WORDS) };
  }
  return outbox;
}

/** Without the view that set() would need of a part of a buffer. */
const { copy } = Buffer.prototype;

/** For a handle to be told of. */
export const outboxMemory = (): Buffer => open().memory;

/**
 * Packs items from `from` on, as many as follow each other and are small: `mostBytes` or less, and not worth more than the copy. Returns how
 * many. One that is larger or cannot be encoded is left for the caller to meet on its own; so is every item that is put while another
 * is being encoded (by its getters, or a codec).
 */
export function packSmall(items: readonly unknown[], from: number, codec: CodecName, mostBytes: number): number {
  if (packing) return 0;
  const { memory, table } = open();
  const largest = Math.min(SMALL_BYTES, mostBytes);
  const count = Math.min(MAX_BATCH, items.length - from);
  let offset = FIRST_BYTE;
  let packed = 0;
  packing = true;
  try {
    for (; packed < count && offset <= OUTBOX_BYTES - SMALL_BYTES; packed++) {
      const item = items[from + packed];
      let length: number;
      let codecId = CODEC_RAW;
      if (codec === 'auto' && item instanceof Uint8Array) {
        length = item.length;
        if (length > largest) break;
        if (length === 0) refuseDetached(item);
        memory.set(item, offset);
      } else {
        const span = encodeItemSpan(item, codec);
        length = span.end - span.start;
        if (length > largest) break;
        codecId = span.codecId;
        copy.call(span.buffer, memory, offset, span.start, span.end);
      }
      table[2 * packed] = length;
      table[2 * packed + 1] = codecId;
      offset += length;
    }
  } catch {
    // It comes first in the next batch, and fails again where its error belongs.
  } finally {
    packing = false;
  }
  return packed;
}
