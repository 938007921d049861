/** Object-mode streams over any queue. */
import { Readable, Writable } from 'node:stream';
import { QueueShutDownError, SerializationError } from '../errors';
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

/**
 * Every item in the stream's own buffer is a lease that is acknowledged when the item leaves the stream, so what a destroyed
 * stream still holds goes back to the queue.
 */
export class QueueReadable<T> extends Readable {
  private readonly leaving = new AbortController();
  private readonly waiting = { signal: this.leaving.signal };
  /** Oldest first; the stream's buffer holds the items of the last `readableLength` of them. */
  private readonly held: HeldItem<T>[] = [];
  private taking: Promise<void> | undefined;

  constructor(private readonly queue: ItemSource<T>) {
    // Only what a reader asked for is taken.
    super({ objectMode: true, highWaterMark: 0 });
  }

  override _read(): void {
    let lease: HeldItem<T> | undefined;
    try {
      lease = this.queue.leaseNow?.(this.waiting);
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    this.taking = lease === undefined ? this.takeOne() : this.give(lease);
  }

  private async takeOne(): Promise<void> {
    let lease: HeldItem<T>;
    try {
      lease = await this.queue.lease(this.waiting);
    } catch (error) {
      if (this.leaving.signal.aborted) return;
      if (error instanceof QueueShutDownError) this.push(null);
      else this.destroy(error as Error);
      return;
    }
    await this.give(lease);
  }

  private give(lease: HeldItem<T>): Promise<void> | undefined {
    if (this.destroyed) return lease.release();
    if (lease.item === null || lease.item === undefined) return this.refuse(lease);
    this.held.push(lease);
    this.push(lease.item);
    this.settle();
    return undefined;
  }

  private async refuse(lease: HeldItem<T>): Promise<void> {
    await lease.release();
    this.destroy(
      new SerializationError(
        `An object stream cannot carry ${String(lease.item)}: use get() or the async iterator. The item is back in the queue.`,
      ),
    );
  }

  override read(size?: number): unknown {
    const item: unknown = super.read(size);
    this.settle();
    return item;
  }

  private settle(): void {
    while (this.held.length > this.readableLength) {
      this.held
        .shift()
        ?.ack()
        ?.catch((error: Error) => this.destroy(error));
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.leaving.abort();
    const requeue = async (): Promise<void> => {
      this.settle();
      for (const lease of this.held.splice(0)) await lease.release();
      await this.taking;
    };
    requeue().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
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
