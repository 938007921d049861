/** A readable stream over a queue whose leases come by the batch in one crossing. */
import { Readable } from 'node:stream';
import { asyncDispose } from '../util/dispose';
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
 *
 * A `for await` gets the first item of a batch through Node's own iterator, which knows of ends and errors, and the others at hand: that
 * iterator takes longer over one item than the queue does.
 */
export class BatchReadable<T> extends Readable {
  private readonly leaving = new AbortController();
  /** Oldest first. */
  private readonly held: Held<T>[] = [];
  /** Items that the stream was given and that are not acknowledged. */
  private open = 0;
  /** The last of them, from `next` on, that are at hand for a loop: they are not in the stream's own buffer. */
  private hand: readonly T[] = [];
  private next = 0;
  private hasLoop = false;
  private size = 1;
  private takenAt = 0;
  private settling = false;
  private taking: Promise<void> | undefined;

  constructor(private readonly queue: Pick<Queue<T>, 'leaseMany'>) {
    super({ objectMode: true, highWaterMark: 0 });
  }

  override _read(): void {
    // Somebody reads beside the loop.
    if (this.next < this.hand.length) this.pushHand();
    else this.taking = this.takeBatch();
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
    this.open += batch.items.length;
    this.hand = batch.items;
    this.next = 0;
    if (this.hasLoop) this.pushNext();
    else this.pushHand();
  }

  private pushHand(): void {
    while (this.next < this.hand.length && !this.destroyed) this.pushNext();
  }

  private pushNext(): void {
    const item = this.hand[this.next]!;
    if (this.refuses(item)) return;
    this.next++;
    this.push(item);
  }

  /** Whether it is none that an object stream can carry: that is the end of the stream, and the item goes back. */
  private refuses(item: T): boolean {
    if (item !== null && item !== undefined) return false;
    this.destroy(
      new SerializationError(
        `An object stream cannot carry ${item}: use get() or the async iterator. The item is back in the queue.`,
      ),
    );
    return true;
  }

  override read(size?: number): unknown {
    const item: unknown = super.read(size);
    if (this.open > this.inside) this.settleSoon();
    return item;
  }

  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<T> {
    this.hasLoop = true;
    const usual = super[Symbol.asyncIterator]() as NodeJS.AsyncIterator<T>;
    let asked = 0;
    const ask = async (): Promise<IteratorResult<T>> => {
      asked++;
      try {
        return await usual.next();
      } finally {
        asked--;
      }
    };
    return {
      next: () => {
        if (asked > 0 || this.next === this.hand.length) return ask();
        const item = this.hand[this.next]!;
        if (this.refuses(item)) return ask();
        this.next++;
        this.settleSoon();
        return Promise.resolve({ done: false, value: item });
      },
      return: (value?: unknown) => usual.return!(value),
      throw: (error?: unknown) => usual.throw!(error),
      [Symbol.asyncIterator]() {
        return this;
      },
      [asyncDispose]: async () => void (await usual.return!()),
    } as NodeJS.AsyncIterator<T>;
  }

  /** Items that were not shown. */
  private get inside(): number {
    return this.readableLength + this.hand.length - this.next;
  }

  private settleSoon(): void {
    if (this.settling) return;
    this.settling = true;
    process.nextTick(() => this.settle());
  }

  /** Acknowledges what has left the stream. */
  private settle(): void {
    this.settling = false;
    const failed = (error: Error): unknown => this.destroy(error);
    for (let left = this.open - this.inside; left > 0;) {
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
    const requeue = async (): Promise<void> => {
      this.settle();
      this.open = this.next = 0;
      this.hand = [];
      for (const { batch } of this.held.splice(0)) await batch.release();
      await this.taking;
    };
    requeue().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }
}
