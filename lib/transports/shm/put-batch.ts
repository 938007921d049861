/** Items on their way in, several at a time. */
import { encodeItem } from '../../codec/registry';
import type { ItemCodec } from '../../codec/registry';
import { MAX_BATCH, TOO_LARGE, native } from './addon';
import type { NativeHandle } from './addon';
import { outboxMemory, packSmall } from './send-buffer';
import { refusePut } from './status-errors';

/** Without `items` they lie in the outbox. */
export interface Batch {
  count: number;
  items?: { bytes: Uint8Array[]; codecs: Uint8Array };
  /** Why the item behind them is not among them. */
  failure?: unknown;
}

export class Batches {
  /** Whether the handle knows the outbox. */
  private introduced = false;

  constructor(
    private readonly handle: NativeHandle,
    private readonly codec: ItemCodec,
    private readonly capacityBytes: number,
  ) {}

  /** The next items as bytes: small ones packed into the outbox, where they stay until anything else is put, others as they are. */
  next(items: readonly unknown[], from: number): Batch {
    if (!this.introduced) {
      native(() => this.handle.setOutbox(outboxMemory()));
      this.introduced = true;
    }
    const count = packSmall(items, from, this.codec, this.capacityBytes);
    return count > 0 ? { count } : this.encode(items, from);
  }

  /**
   * Up to MAX_BATCH items, each as bytes outside of the outbox. Those before one that cannot be encoded go in; `failure` says what
   * stopped there.
   */
  encode(items: readonly unknown[], from: number, encodeOne = encodeItem): Batch {
    const bytes: Uint8Array[] = [];
    const codecs = new Uint8Array(Math.min(MAX_BATCH, items.length - from));
    let failure: unknown;
    try {
      for (let index = 0; index < codecs.length; index++) {
        const encoded = encodeOne(items[from + index], this.codec);
        if (encoded.bytes.length > this.capacityBytes) refusePut(TOO_LARGE, encoded.bytes.length, this.capacityBytes);
        codecs[index] = encoded.codecId;
        bytes.push(encoded.bytes);
      }
    } catch (error) {
      failure = error;
    }
    return { count: bytes.length, items: { bytes, codecs }, failure };
  }

  /** How many went in; undefined: there is no room yet. */
  put({ count, items }: Batch, from: number, waitMs: number): number | undefined {
    const outcome = native(() =>
      items === undefined
        ? this.handle.putManyOut(from, count - from, waitMs)
        : this.handle.putMany(items.bytes, from, count - from, items.codecs, waitMs),
    );
    if (outcome > 0) return outcome;
    refusePut(outcome, 0, this.capacityBytes);
    return undefined;
  }
}
