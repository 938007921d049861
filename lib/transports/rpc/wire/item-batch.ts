/**
 * Items in their wire form, as columns: the bytes of all of them in one piece, where each one ends, and its codec. A part of a batch is a view,
 * so that items pass through a server without becoming anything else.
 */
import { asBuffer, viewOf } from '../../../util/buffer-view';
import { trueLengthOf } from '../../../util/built-ins';
import { forbidTransfer } from '../../../util/shared-memory';
import { CODEC_RAW, decodeItem, decodesByCopy, FIRST_CUSTOM_ID } from '../../../codec/registry';
import type { EncodedItem } from '../../../codec/registry';
import type { EncodedLeases } from '../../../queue/encoded-source';
import { SealedItem } from '../../../codec/encoded-item';
import type { Sealing } from '../../../codec/encoded-item';
import type { Items } from './generated/types';

/** Node's pool, out of which small Buffers are. Asked once: the name `Buffer` is a getter of Node's, which costs as much as a small item. */
const POOL_BYTES = Buffer.poolSize;
/** No frame holds more, however short its items are. */
export const MOST_ITEMS = 65_536;
const MOST_CODEC = 255;

/** One value for all items, or one for each. */
type Column = number | ArrayLike<number>;

/** The items from … to - 1, copied: where in which memory an item lies that began at 0. */
interface Copied {
  from: number;
  to: number;
  memory: ArrayBufferLike;
  base: number;
}

export class ItemBatch implements Sealing {
  /** Of `data`: asking a Buffer for them costs as much as making one. */
  private readonly memory: ArrayBufferLike;
  private readonly base: number;
  /** Small items, of which those that were opened last are part. */
  private copied: Copied | undefined;
  /** Its memory was said to be for more than one. */
  private isShared = false;

  private constructor(
    private readonly data: Buffer,
    /** Of `data` and the columns. */
    private readonly first: number,
    readonly count: number,
    /** The length of every item, or the offsets of all of them and of their end. */
    private readonly layout: number | Uint32Array,
    private readonly codecs: Column,
  ) {
    this.memory = data.buffer;
    this.base = data.byteOffset;
  }

  static readonly none = new ItemBatch(Buffer.alloc(0), 0, 0, 0, CODEC_RAW);

  static single({ bytes, codecId }: EncodedItem): ItemBatch {
    return new ItemBatch(asBuffer(bytes), 0, 1, bytes.byteLength, codecId);
  }

  /** Of bytes that stay as they are: raw ones are the program's own, and those of a codec of its own may be, so they are copied. */
  static kept({ bytes, codecId }: EncodedItem): ItemBatch {
    if (codecId !== CODEC_RAW && codecId < FIRST_CUSTOM_ID) return ItemBatch.single({ bytes, codecId });
    const copy = Buffer.allocUnsafe(trueLengthOf(bytes));
    copy.set(bytes);
    return ItemBatch.single({ bytes: copy, codecId });
  }

  /** Around bytes that lie one after the other already. */
  static over(data: Buffer, ends: readonly number[], codecs: Column): ItemBatch {
    const offsets = new Uint32Array(ends.length + 1);
    offsets.set(ends, 1);
    return new ItemBatch(data, 0, ends.length, offsets, codecs);
  }

  /** The same where all items have one length. */
  static even(data: Buffer, count: number, length: number, codecs: Column): ItemBatch {
    return new ItemBatch(data, 0, count, length, codecs);
  }

  static join(batches: readonly ItemBatch[]): ItemBatch {
    if (batches.length === 1) return batches[0]!;
    let count = 0;
    let total = 0;
    for (const batch of batches) {
      count += batch.count;
      total += batch.byteLength;
    }
    const data = Buffer.allocUnsafeSlow(total);
    let at = 0;
    const { layout, codecs: codec } = batches[0]!;
    if (typeof layout === 'number' && typeof codec === 'number') {
      if (batches.every((batch) => batch.layout === layout && batch.codecs === codec)) {
        for (const batch of batches) {
          data.set(batch.bytes(), at);
          at += batch.byteLength;
        }
        return new ItemBatch(data, 0, count, layout, codec);
      }
    }
    const offsets = new Uint32Array(count + 1);
    const codecs = new Uint8Array(count);
    let index = 0;
    for (const batch of batches) {
      data.set(batch.bytes(), at);
      for (let i = 0; i < batch.count; i++, index++) {
        offsets[index] = at;
        codecs[index] = batch.codec(i);
        at += batch.length(i);
      }
    }
    offsets[count] = at;
    return new ItemBatch(data, 0, count, offsets, codecs);
  }

  /** @throws RangeError when the columns contradict each other */
  static fromWire(items: Items | null | undefined): ItemBatch {
    const count = items?.count ?? 0;
    const data = asBuffer(items?.data ?? Buffer.alloc(0));
    const lengths = items?.lengths ?? [];
    const codecs = items?.codec ?? [];
    if (count > MOST_ITEMS) throw new RangeError(`a batch of ${count} items; at most ${MOST_ITEMS} come together`);
    if (codecs.length > 1 && codecs.length !== count)
      throw new RangeError(
        `a batch of ${count} items carries ${codecs.length} codecs; expected none, one, or one each`,
      );
    for (const codec of codecs)
      if (codec < 1 || codec > MOST_CODEC) throw new RangeError(`a codec is from 1 to ${MOST_CODEC}, found ${codec}`);
    const codec = codecs.length > 1 ? codecs : (codecs[0] ?? CODEC_RAW);
    if (lengths.length <= 1) {
      const length = lengths[0] ?? data.byteLength;
      if (length * count !== data.byteLength || (lengths.length === 0 && count > 1))
        throw new RangeError(`a batch of ${count} items of ${length} bytes carries ${data.byteLength} bytes`);
      return new ItemBatch(data, 0, count, length, codec);
    }
    if (lengths.length !== count)
      throw new RangeError(
        `a batch of ${count} items carries ${lengths.length} lengths; expected one for all or one each`,
      );
    const offsets = new Uint32Array(count + 1);
    let at = 0;
    for (let index = 0; index < count; index++) {
      offsets[index] = at;
      at += lengths[index]!;
      if (at > data.byteLength) break;
    }
    if (at !== data.byteLength)
      throw new RangeError(`the lengths of a batch add up to ${at} bytes; it carries ${data.byteLength}`);
    offsets[count] = at;
    return new ItemBatch(data, 0, count, offsets, codec);
  }

  toWire(): Items {
    const { count, first, layout, codecs } = this;
    const lengths: number[] = [];
    if (typeof layout === 'number') {
      if (count > 1) lengths.push(layout);
    } else if (count > 1) {
      let uniform = true;
      for (let index = 0; index < count; index++) {
        const length = layout[first + index + 1]! - layout[first + index]!;
        uniform &&= index === 0 || length === lengths[0];
        lengths.push(length);
      }
      if (uniform) lengths.length = 1;
    }
    let codec: number[];
    if (typeof codecs === 'number') {
      codec = codecs === CODEC_RAW ? [] : [codecs];
    } else {
      codec = Array.prototype.slice.call(codecs, first, first + count) as number[];
      if (codec.every((id) => id === codec[0])) codec.length = codec[0] === CODEC_RAW ? 0 : 1;
    }
    return { data: this.bytes(), count, lengths, codec };
  }

  /** A view of the items from … to - 1. */
  slice(from: number, to = this.count): ItemBatch {
    if (from === 0 && to === this.count) return this;
    return new ItemBatch(this.data, this.first + from, to - from, this.layout, this.codecs);
  }

  /** Of all items together. */
  get byteLength(): number {
    return this.start(this.count) - this.start(0);
  }

  /** Of the items before this one. */
  private start(index: number): number {
    const { layout } = this;
    return typeof layout === 'number' ? (this.first + index) * layout : layout[this.first + index]!;
  }

  length(index: number): number {
    return typeof this.layout === 'number' ? this.layout : this.start(index + 1) - this.start(index);
  }

  codec(index: number): number {
    return typeof this.codecs === 'number' ? this.codecs : this.codecs[this.first + index]!;
  }

  /** All bytes, or those of one item: a view. */
  bytes(index?: number): Buffer {
    const { data } = this;
    const start = this.start(index ?? 0);
    const end = this.start(index === undefined ? this.count : index + 1);
    return start === 0 && end === data.byteLength ? data : viewOf(this.memory, this.base + start, end - start);
  }

  /** The item as a value. Raw bytes are a view, unless they are few: one kept item would keep the whole piece it came in. @throws SerializationError */
  open(index: number): unknown {
    const codec = this.codec(index);
    const start = this.start(index);
    const end = this.start(index + 1);
    if (codec !== CODEC_RAW) {
      if (!decodesByCopy(codec)) this.share();
      return decodeItem(codec, this.data, start, end);
    }
    const length = end - start;
    if (length * 2 >= POOL_BYTES || length * 2 >= this.memory.byteLength) {
      if (this.memory.byteLength > length) this.share();
      return this.bytes(index);
    }
    let { copied } = this;
    if (copied === undefined || index < copied.from || index >= copied.to) copied = this.copyFrom(index);
    return viewOf(copied.memory, copied.base + start, length);
  }

  /** Other items, opened or not, lie in the memory of one that the program gets. */
  private share(): void {
    if (!this.isShared) forbidTransfer(this.memory);
    this.isShared = true;
  }

  /** This item and as many behind it as fit into Node's pool together: a copy for each would cost more than its view. */
  private copyFrom(from: number): Copied {
    const start = this.start(from);
    let to = from + 1;
    while (to < this.count && (this.start(to + 1) - start) * 2 < POOL_BYTES) to++;
    const end = this.start(to);
    const copy = Buffer.allocUnsafe(end - start);
    this.data.copy(copy, 0, start, end);
    return (this.copied = { from, to, memory: copy.buffer, base: copy.byteOffset - start });
  }

  /** The same with bytes of its own, if it is the last little thing that keeps a large piece of memory. */
  detached(): ItemBatch {
    const { byteLength } = this;
    if (byteLength * 2 >= this.memory.byteLength || this.memory.byteLength <= POOL_BYTES) return this;
    // Out of Node's pool of a few KiB where it is little: memory of its own for each item would cost more than the item.
    const data = Buffer.allocUnsafe(byteLength);
    data.set(this.bytes());
    if (typeof this.layout === 'number') return new ItemBatch(data, 0, this.count, this.layout, this.codecColumn());
    const begin = this.start(0);
    const offsets = this.layout.slice(this.first, this.first + this.count + 1).map((offset) => offset - begin);
    return new ItemBatch(data, 0, this.count, offsets, this.codecColumn());
  }

  private codecColumn(): Column {
    const { codecs, first, count } = this;
    return typeof codecs === 'number' ? codecs : (Array.prototype.slice.call(codecs, first, first + count) as number[]);
  }
}

/** Lent items, each to be put elsewhere as it is. */
export function sealedItems(items: EncodedLeases['items']): SealedItem[] {
  if ('data' in items) return sealedOf(ItemBatch.over(items.data, items.ends, items.codecs));
  return items.map((item) => (item instanceof SealedItem ? item : new SealedItem(ItemBatch.single(item), 0)));
}

export const sealedOf = (batch: ItemBatch): SealedItem[] =>
  Array.from({ length: batch.count }, (_, index) => new SealedItem(batch, index));
