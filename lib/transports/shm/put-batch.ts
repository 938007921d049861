/** Items on their way in, several at a time. */
import { CODEC_RAW, encodeItem, FIRST_CUSTOM_ID, isPlainBytes, isSealed } from '../../codec/registry';
import type { ItemCodec, EncodedItem } from '../../codec/registry';
import { copyOf } from '../../util/buffer-view';
import { MAX_BATCH, TOO_LARGE, native } from './addon';
import type { AttachedQueue } from './attachment';
import { packSmall, unpack } from './send-buffer';
import { refusePut } from './status-errors';

/** Without `items` they lie in the send buffer. */
interface Batch {
  readonly count: number;
  readonly items?: { bytes: Uint8Array[]; codecs: Uint8Array };
  /** The item behind them, encoded already. */
  readonly next?: EncodedItem;
  /** Why the item behind them is not among them. */
  readonly failure?: { readonly error: unknown };
}

/** Whether bytes of this codec may lie in memory of the program's, which it may go on to use. */
const isPrograms = (codecId: number): boolean => codecId === CODEC_RAW || codecId >= FIRST_CUSTOM_ID;

export class BatchPacker {
  private readonly capacityBytes: number;

  constructor(
    private readonly queue: AttachedQueue,
    private readonly codec: ItemCodec,
  ) {
    this.capacityBytes = queue.attachment.entry.configuration.capacityBytes;
  }

  /**
   * The next items as bytes: small ones packed into the send buffer, where they stay until anything else is put, others as they are.
   * @param first item `from`, where it is encoded already
   */
  next(items: readonly unknown[], from: number, first?: EncodedItem): Batch {
    if (first !== undefined) return this.encode(items, from, first);
    const packed = packSmall(items, from, this.codec, this.capacityBytes);
    return packed.count > 0 || packed.failure !== undefined ? packed : this.encode(items, from, packed.next);
  }

  /**
   * Up to MAX_BATCH items, each as bytes outside of the send buffer. Behind bytes that the program may change none is encoded by its code
   * (a getter, a codec) before they are in.
   */
  private encode(items: readonly unknown[], from: number, first: EncodedItem | undefined): Batch {
    const bytes: Uint8Array[] = [];
    const codecs = new Uint8Array(Math.min(MAX_BATCH, items.length - from));
    let failure: { error: unknown } | undefined;
    let mayChange = false;
    try {
      for (let index = 0; index < codecs.length; index++) {
        const item = items[from + index];
        if (mayChange && !this.isRaw(item)) break;
        const encoded = (index === 0 ? first : undefined) ?? encodeItem(item, this.codec);
        if (encoded.bytes.length > this.capacityBytes) refusePut(TOO_LARGE, encoded.bytes.length, this.capacityBytes);
        codecs[index] = encoded.codecId;
        bytes.push(encoded.bytes);
        mayChange ||= isPrograms(encoded.codecId) && !isSealed(item);
      }
    } catch (error) {
      failure = { error };
    }
    return { count: bytes.length, items: { bytes, codecs }, failure };
  }

  /** Bytes that go in as they are. */
  private isRaw(item: unknown): boolean {
    return (this.codec === 'auto' || this.codec === 'raw') && isPlainBytes(item);
  }

  /** What is left of the batch from `from` on, with bytes of its own: it has to wait, and their owner may go on to use them. */
  own(batch: Batch, from: number): Batch {
    const { count, items, next } = batch;
    // What is too large is not put, but refused.
    const keep = (bytes: Uint8Array, codecId: number): Uint8Array =>
      bytes.length <= this.capacityBytes && isPrograms(codecId) ? copyOf(bytes) : bytes;
    const left =
      items === undefined
        ? unpack(from, count)
        : {
            bytes: items.bytes.slice(from).map((bytes, index) => keep(bytes, items.codecs[from + index]!)),
            codecs: items.codecs.subarray(from),
          };
    const ownNext = next && { codecId: next.codecId, bytes: keep(next.bytes, next.codecId) };
    return { ...batch, count: count - from, items: left, next: ownNext };
  }

  /** How many went in; undefined: there is no room yet. */
  put({ count, items }: Batch, from: number, waitMs: number): number | undefined {
    this.queue.check(); // the encoding may have closed it
    const { entry } = this.queue.attachment;
    if (items === undefined) entry.useSendBuffer();
    const outcome = native(() =>
      items === undefined
        ? entry.native.putManyOut(from, count - from, waitMs)
        : entry.native.putMany(items.bytes, from, count - from, items.codecs, waitMs),
    );
    if (outcome > 0) return outcome;
    refusePut(outcome, 0, this.capacityBytes);
    return undefined;
  }
}

/** A whole array on its way in. Each item is encoded once, however long it waits. */
export class ArrayPut {
  /** How many items are in. */
  accepted = 0;
  private batch: Batch | undefined;
  /** How many of the batch are in. */
  private done = 0;

  constructor(
    private readonly packer: BatchPacker,
    private readonly items: readonly unknown[],
  ) {}

  get isDone(): boolean {
    return this.accepted >= this.items.length && this.batch?.failure === undefined;
  }

  /** Puts what there is room for, of one batch. @returns how many went in, 0 for no room; @throws what stopped the batch before */
  step(waitMs: number): number {
    const batch = this.current();
    if (this.done === batch.count && batch.failure !== undefined) throw batch.failure.error;
    const moved = this.packer.put(batch, this.done, waitMs);
    if (moved === undefined) return 0;
    this.done += moved;
    this.accepted += moved;
    return moved;
  }

  /** The batch that is not all in, or that says why there is no other. */
  private current(): Batch {
    const { batch, done } = this;
    if (batch !== undefined && (done < batch.count || batch.failure !== undefined)) return batch;
    this.done = 0;
    return (this.batch = this.packer.next(this.items, this.accepted, batch?.next));
  }

  /** Before others may use the send buffer, or the program its bytes. */
  own(): void {
    if (this.batch === undefined) return;
    this.batch = this.packer.own(this.batch, this.done);
    this.done = 0;
  }
}
