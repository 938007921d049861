/**
 * Where the small items of a batch lie for the addon to pick up: memory that it knows already. To ask one array after the other for
 * its memory costs it more than the copy into here.
 */
import { targetOver } from '../../codec/msgpack/output';
import type { Target } from '../../codec/msgpack/output';
import {
  CODEC_MSGPACK,
  CODEC_RAW,
  CODEC_STRUCT,
  encodeItemInto,
  encodeItemSpan,
  isPlainBytes,
} from '../../codec/registry';
import type { EncodedItem, ItemCodec, ItemSpan } from '../../codec/registry';
import { copyOf } from '../../util/buffer-view';
import { trueLengthOf } from '../../util/built-ins';
import { MAX_BATCH } from './addon';

/** First a table of (length, codec) pairs, then the items one after the other. */
const TABLE_WORDS = 2 * MAX_BATCH;
const FIRST_BYTE = TABLE_WORDS * Int32Array.BYTES_PER_ELEMENT;
const SEND_BUFFER_BYTES = 64 * 1024;
/** Larger items are not worth the copy. */
const SMALL_BYTES = 1024;

/** One for all queues of a thread: what is packed is put before anything else is packed. */
let sendBuffer: { memory: Buffer; table: Int32Array; target: Target } | undefined;
/** What is put from within, by an item's getters or a codec, has to go another way. */
let packing = false;
/** Whether the item before was: the next one is likely to be, too, and would outgrow this memory step by step, where the encoder's own has grown already. */
let wasLarge = false;

function open(): NonNullable<typeof sendBuffer> {
  if (sendBuffer === undefined) {
    const memory = Buffer.allocUnsafeSlow(SEND_BUFFER_BYTES);
    sendBuffer = { memory, table: new Int32Array(memory.buffer, 0, TABLE_WORDS), target: targetOver(memory) };
  }
  return sendBuffer;
}

/** For whole arrays; loaded once, since V8 looks methods of typed arrays up at each call. */
const { set } = Uint8Array.prototype;
/** For parts of a buffer, of which set() would need a view. */
const { copy } = Buffer.prototype;

/** For a handle to be told of. */
export const sendBufferMemory = (): Buffer => open().memory;

export interface Packed {
  /** How many lie here. */
  count: number;
  /** The item behind them, encoded, where it is too large for here. */
  next?: EncodedItem;
  /** Why the item behind them could not be encoded. */
  failure?: { readonly error: unknown };
}

/**
 * Packs items from `from` on, as many as follow each other and are small: `mostBytes` or less, and not worth more than the copy. Each is encoded
 * once, the one behind them too. None while another is being encoded (by its getters, or a codec).
 */
export function packSmall(items: readonly unknown[], from: number, codec: ItemCodec, mostBytes: number): Packed {
  if (packing) return { count: 0 };
  const { memory, table, target } = open();
  const largest = Math.min(SMALL_BYTES, mostBytes);
  const count = Math.min(MAX_BATCH, items.length - from);
  let offset = FIRST_BYTE;
  let packed = 0;
  packing = true;
  // Most batches are bytes only. No try block lies around them: V8 works on typed arrays half as fast in one.
  for (; codec === 'auto' && packed < count && offset <= SEND_BUFFER_BYTES - SMALL_BYTES; packed++) {
    const item = items[from + packed];
    if (!isPlainBytes(item)) break;
    const length = trueLengthOf(item);
    if (length === 0 || length > largest) break;
    set.call(memory, item, offset);
    table[2 * packed] = length;
    table[2 * packed + 1] = CODEC_RAW;
    offset += length;
  }
  try {
    for (; packed < count && offset <= SEND_BUFFER_BYTES - SMALL_BYTES; packed++) {
      const item = items[from + packed];
      const span = wasLarge ? encodeItemSpan(item, codec) : encodeItemInto(target, offset, item, codec);
      const { codecId, buffer, start, end } = span;
      wasLarge = end - start > largest;
      if (wasLarge) return { count: packed, next: kept(span) };
      if (buffer !== memory) copy.call(buffer, memory, offset, start, end);
      table[2 * packed] = end - start;
      table[2 * packed + 1] = codecId;
      offset += end - start;
    }
  } catch (error) {
    return { count: packed, failure: { error } };
  } finally {
    packing = false;
  }
  return { count: packed };
}

/** Copies of the packed items from … to - 1, for a call that has to wait. */
export function unpack(from: number, to: number): { bytes: Uint8Array[]; codecs: Uint8Array } {
  const { memory, table } = open();
  const bytes: Uint8Array[] = [];
  const codecs = new Uint8Array(to - from);
  let offset = FIRST_BYTE;
  for (let index = 0; index < to; index++) {
    const length = table[2 * index]!;
    if (index >= from) {
      bytes.push(Buffer.from(memory.subarray(offset, offset + length)));
      codecs[index - from] = table[2 * index + 1]!;
    }
    offset += length;
  }
  return { bytes, codecs };
}

/** Good until the item's owner changes it: what lies in the encoder's own buffer is copied out of it. */
export function kept({ codecId, buffer, start, end }: ItemSpan): EncodedItem {
  const bytes = buffer.subarray(start, end);
  const isLent = codecId === CODEC_MSGPACK || codecId === CODEC_STRUCT;
  return { codecId, bytes: isLent ? Buffer.from(bytes) : bytes };
}

/** With bytes of its own, for a call that has to wait. */
export function owned({ codecId, buffer, start, end }: ItemSpan): EncodedItem {
  return { codecId, bytes: copyOf(buffer, start, end) };
}
