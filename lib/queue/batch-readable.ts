/** A readable stream over a queue whose leases come by the batch in one crossing. */
import { Readable } from 'node:stream';
import { QueueShutDownError, SerializationError } from '../errors';
import type { LeaseBatch, Queue } from './types';

/** Leased at a time by a reader that keeps up. */
const MOST = 64;
/** A reader that takes longer than this for what it has keeps items from others: it gets one at a time. */
const KEEPS_UP_MS = 10;

interface Held<T> {
  readonly batch: LeaseBatch<T>;
  /** Left the stream and acknowledged. */
  done: number;
}

/**
 * Every item that has not left the stream is on lease, and goes back when the stream is destroyed. What has left it is acknowledged
 * before more is leased, and in any case before the loop does anything else.
 */
export class BatchReadable<T> extends Readable {
  private readonly leaving = new AbortController();
  /** Oldest first. */
  private readonly held: Held<T>[] = [];
  /** Items that the stream was given and that are not acknowledged. */
  private open = 0;
  private size = 1;
  private takenAt = 0;
  private settling = false;
  private taking: Promise<void> | undefined;

  constructor(private readonly queue: Pick<Queue<T>, 'leaseMany'>) {
    super({ objectMode: true, highWaterMark: 0 });
  }

  override _read(): void {
    this.taking = this.takeBatch();
  }

  private async takeBatch(): Promise<void> {
    this.settle();
    const now = performance.now();
    this.size = now - this.takenAt < KEEPS_UP_MS ? Math.min(2 * this.size, MOST) : 1;
    let batch: LeaseBatch<T>;
    try {
      batch = await this.queue.leaseMany(this.size, { signal: this.leaving.signal });
    } catch (error) {
      if (this.leaving.signal.aborted) return;
      if (error instanceof QueueShutDownError) this.push(null);
      else this.destroy(error as Error);
      return;
    }
    this.takenAt = performance.now();
    if (this.destroyed) return batch.release();
    this.held.push({ batch, done: 0 });
    for (const item of batch.items) {
      if (this.destroyed) return;
      if (item === null || item === undefined) {
        this.destroy(
          new SerializationError(
            `An object stream cannot carry ${item}: use get() or the async iterator. The item is back in the queue.`,
          ),
        );
        return;
      }
      this.open++;
      this.push(item);
    }
  }

  override read(size?: number): unknown {
    const item: unknown = super.read(size);
    if (!this.settling && this.open > this.readableLength) {
      this.settling = true;
      process.nextTick(() => this.settle());
    }
    return item;
  }

  /** Acknowledges what has left the stream. */
  private settle(): void {
    this.settling = false;
    const failed = (error: Error): unknown => this.destroy(error);
    for (let left = this.open - this.readableLength; left > 0;) {
      const first = this.held[0]!;
      const count = Math.min(left, first.batch.items.length - first.done);
      if (first.done + count === first.batch.items.length) {
        this.held.shift();
        first.batch.ack().catch(failed);
      } else {
        for (let index = 0; index < count; index++) first.batch.leases[first.done + index]!.ack().catch(failed);
        first.done += count;
      }
      this.open -= count;
      left -= count;
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.leaving.abort();
    const giveBack = async (): Promise<void> => {
      this.settle();
      // Newest first, each ahead of everything not yet taken: the order is as it was.
      for (const { batch } of this.held.splice(0).reverse()) await batch.release();
      await this.taking;
    };
    giveBack().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }
}
