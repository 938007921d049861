/**
 * Items on their way into a batch, copied one after the other as they come: whoever made them may use their memory again at once, as
 * generators and codecs do that hand out the same buffer every time.
 */
import { trueLengthOf } from '../../../util/built-ins';
import { ItemBatch } from './item-batch';
import { BATCH_BYTES, BATCH_ITEMS } from './protocol';

export class ItemBatchBuilder {
  count = 0;
  private used = 0;
  private data: Buffer | undefined;
  private length = 0;
  /** Where each item ends; only where the lengths differ. */
  private ends: number[] | undefined;
  private codec = 0;
  /** Of each item; only where they differ. */
  private codecs: number[] | undefined;

  constructor(
    /** A guess that saves memory: batches of one call are alike. */
    private expectedItems: number,
  ) {}

  add(bytes: Uint8Array, codec: number): void {
    const { count, used } = this;
    const length = trueLengthOf(bytes);
    if (count === 0) {
      this.length = length;
      this.codec = codec;
    }
    if (this.ends === undefined && length !== this.length)
      this.ends = Array.from({ length: count }, (_, index) => (index + 1) * this.length);
    if (this.codecs === undefined && codec !== this.codec) this.codecs = new Array<number>(count).fill(this.codec);
    const end = used + length;
    const data = this.data !== undefined && end <= this.data.length ? this.data : this.grow(end);
    data.set(bytes, used);
    this.ends?.push(end);
    this.codecs?.push(codec);
    this.used = end;
    this.count++;
  }

  get full(): boolean {
    return this.count >= BATCH_ITEMS || this.used >= BATCH_BYTES;
  }

  /** What came since the last time; not to be asked of an empty one. */
  take(): ItemBatch {
    const data = this.data!.subarray(0, this.used);
    const codecs = this.codecs ?? this.codec;
    const batch =
      this.ends === undefined
        ? ItemBatch.even(data, this.count, this.length, codecs)
        : ItemBatch.over(data, this.ends, codecs);
    this.expectedItems = this.count;
    this.data = this.ends = this.codecs = undefined;
    this.used = this.count = 0;
    return batch;
  }

  private grow(needed: number): Buffer {
    const { data, used } = this;
    const guess = data === undefined ? Math.min(BATCH_BYTES, needed * this.expectedItems) : data.byteLength * 2;
    const grown = Buffer.allocUnsafe(Math.max(needed, guess));
    if (data !== undefined) grown.set(data.subarray(0, used));
    return (this.data = grown);
  }
}
