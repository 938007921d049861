/** Object-mode streams over any queue. */
import { Writable } from 'node:stream';
import type { ClosingHandle } from './handle-end';
import { LoopReadable } from './loop-readable';
import type { Queue } from './types';

/** An item on lease in a stream. */
export interface HeldItem<T> {
  readonly item: T;
  /** Undefined: there is nothing to wait for. */
  ack(): Promise<void> | undefined;
  release(): Promise<void>;
}

/** Where a stream has its items from. */
export interface ItemSource<T> {
  lease(options: { signal: AbortSignal }): Promise<HeldItem<T>>;
  /** The next one, where it is at hand: what a stream is given at once costs it no turn of the event loop. */
  leaseNow?(options: { signal: AbortSignal }): HeldItem<T> | undefined;
}

/** One item at a time: it is acknowledged when it leaves the stream. */
export class QueueReadable<T> extends LoopReadable<T, HeldItem<T>> {
  /** Oldest first; the stream's buffer holds the items of the last `readableLength` of them. */
  private readonly held: HeldItem<T>[] = [];
  /** The next one, at hand. */
  private hand: HeldItem<T> | undefined;

  constructor(
    private readonly queue: ItemSource<T>,
    handle: ClosingHandle,
  ) {
    super(handle);
  }

  protected lease(): Promise<HeldItem<T>> {
    return this.queue.lease(this.waiting);
  }

  protected keep(lease: HeldItem<T>): void {
    this.hand = lease;
  }

  protected isAtHand(): boolean {
    if (this.destroyed || this.closing !== undefined) return false;
    try {
      this.hand ??= this.queue.leaseNow?.(this.waiting);
    } catch (error) {
      this.destroy(error as Error);
    }
    return this.hand !== undefined;
  }

  protected pushAtHand(): void {
    const lease = this.hand!;
    if (this.refuses(lease.item)) return;
    this.hand = undefined;
    this.held.push(lease);
    this.push(lease.item);
    this.settle();
  }

  takeAtHand(): IteratorYieldResult<T> | undefined {
    if (this.readableLength > 0 || this.isTaking || this.isHeard || !this.isAtHand()) return undefined;
    const lease = this.hand!;
    const { item } = lease;
    if (this.refuses(item)) return undefined;
    this.hand = undefined;
    this.acknowledge(lease);
    return { done: false, value: item };
  }

  override read(size?: number): unknown {
    const item: unknown = super.read(size);
    this.settle();
    return item;
  }

  protected get isHolding(): boolean {
    return this.held.length > 0 || this.hand !== undefined;
  }

  protected settle(): void {
    while (this.held.length > this.readableLength) this.acknowledge(this.held.shift()!);
  }

  private acknowledge(lease: HeldItem<T>): void {
    lease.ack()?.catch((error: Error) => this.destroy(error));
  }

  protected async releaseAll(): Promise<void> {
    this.settle();
    const { hand } = this;
    this.hand = undefined;
    for (const lease of this.held.splice(0)) await lease.release();
    await hand?.release();
  }
}

export class QueueWritable<T> extends Writable {
  private readonly leaving = new AbortController();

  constructor(
    private readonly queue: Queue<T>,
    private readonly shutsDown: boolean,
  ) {
    super({ objectMode: true });
  }

  override _write(item: T, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.queue.put(item, { signal: this.leaving.signal }).then(() => callback(), callback);
  }

  override _writev(chunks: { chunk: T }[], callback: (error?: Error | null) => void): void {
    const items = chunks.map(({ chunk }) => chunk);
    this.queue.putMany(items, { signal: this.leaving.signal }).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.shutsDown) this.queue.shutdown().then(() => callback(), callback);
    else callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.leaving.abort();
    callback(error);
  }
}
