/** A readable stream over a queue whose leases come by the batch in one crossing. */
import type { ClosingHandle } from './handle-end';
import { endLeases } from './lease-batch';
import { LoopReadable } from './loop-readable';
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

/** What has left the stream is acknowledged before more is leased, and in any case before the loop does anything else. */
export class BatchReadable<T> extends LoopReadable<T, LeaseBatch<T>> {
  /** Oldest first. */
  private readonly held: Held<T>[] = [];
  /** Items that the stream was given and that are not acknowledged. */
  private open = 0;
  /** The last of them, from `next` on, that are at hand: they are not in the stream's own buffer. */
  private hand: readonly T[] = [];
  private next = 0;
  private size = 1;
  private takenAt = 0;
  private settling = false;

  constructor(private readonly queue: Pick<Queue<T>, 'leaseMany'> & ClosingHandle) {
    super(queue);
  }

  protected lease(): Promise<LeaseBatch<T>> {
    this.settle();
    this.size = performance.now() - this.takenAt < KEEPS_UP_MS ? Math.min(2 * this.size, MOST) : 1;
    return this.queue.leaseMany(this.size, this.waiting);
  }

  protected keep(batch: LeaseBatch<T>): void {
    this.takenAt = performance.now();
    this.held.push({ batch, done: 0 });
    this.open += batch.items.length;
    this.hand = batch.items;
    this.next = 0;
  }

  protected isAtHand(): boolean {
    return this.next < this.hand.length;
  }

  /** All of it, unless the rest is for a loop. */
  protected pushAtHand(): void {
    const isForLoop = this.hasLoop && !this.isHeard;
    do {
      const item = this.hand[this.next]!;
      if (this.refuses(item)) return;
      this.next++;
      this.push(item);
    } while (!isForLoop && this.next < this.hand.length && !this.destroyed);
  }

  takeAtHand(): IteratorYieldResult<T> | undefined {
    if (this.next === this.hand.length || this.readableLength > 0) return undefined;
    const value = this.hand[this.next]!;
    if (this.refuses(value)) return undefined;
    this.next++;
    this.settleSoon();
    return { done: false, value };
  }

  override read(size?: number): unknown {
    const item: unknown = super.read(size);
    if (this.open > this.inside) this.settleSoon();
    return item;
  }

  protected get isHolding(): boolean {
    return this.inside > 0;
  }

  /** Items that were not shown. */
  private get inside(): number {
    return this.readableLength + this.hand.length - this.next;
  }

  private settleSoon(): void {
    if (this.settling) return;
    this.settling = true;
    process.nextTick(() => {
      this.settling = false;
      this.settle();
    });
  }

  protected settle(): void {
    const failed = (error: Error): unknown => this.destroy(error);
    for (let left = this.open - this.inside; left > 0;) {
      const first = this.held[0]!;
      const { batch, done } = first;
      const count = Math.min(left, batch.items.length - done);
      first.done += count;
      if (first.done === batch.items.length) this.held.shift();
      endLeases(batch, done, done + count, 'ack').catch(failed);
      this.open -= count;
      left -= count;
    }
  }

  protected async releaseAll(): Promise<void> {
    this.settle();
    this.open = this.next = 0;
    this.hand = [];
    for (const { batch } of this.held.splice(0)) await batch.release();
  }
}
