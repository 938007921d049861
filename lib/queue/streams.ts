/** Object-mode streams over any queue. */
import { Readable, Writable } from 'node:stream';
import { QueueShutDownError, SerializationError } from '../errors';
import type { Lease, Queue } from './types';

/**
 * Every item in the stream's own buffer is a lease that is acknowledged when the item leaves the stream, so what a destroyed
 * stream still holds goes back to the queue.
 */
export class QueueReadable<T> extends Readable {
  private readonly leaving = new AbortController();
  /** Oldest first; the stream's buffer holds the items of the last `readableLength` of them. */
  private readonly held: Lease<T>[] = [];
  private taking: Promise<void> | undefined;

  constructor(private readonly queue: Pick<Queue<T>, 'lease'>) {
    // Only what a reader asked for is taken.
    super({ objectMode: true, highWaterMark: 0 });
  }

  override _read(): void {
    this.taking = this.takeOne();
  }

  private async takeOne(): Promise<void> {
    let lease: Lease<T>;
    try {
      lease = await this.queue.lease({ signal: this.leaving.signal });
    } catch (error) {
      if (this.leaving.signal.aborted) return;
      if (error instanceof QueueShutDownError) this.push(null);
      else this.destroy(error as Error);
      return;
    }
    if (this.destroyed) return lease.release();
    if (lease.item === null || lease.item === undefined) {
      await lease.release();
      this.destroy(
        new SerializationError(
          `An object stream cannot carry ${lease.item}: use get() or the async iterator. The item is back in the queue.`,
        ),
      );
      return;
    }
    this.held.push(lease);
    this.push(lease.item);
    this.settle();
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
        .catch((error: Error) => this.destroy(error));
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.leaving.abort();
    // Newest first, each ahead of everything not yet taken: the order is as it was.
    const giveBack = async (): Promise<void> => {
      this.settle();
      for (const lease of this.held.splice(0).reverse()) await lease.release();
      await this.taking;
    };
    giveBack().then(
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
