/** Queues that have four methods of their own: what `wrapQueue`, the adapter and `BaseQueue` are for. */
import { BaseQueue, QueueEmptyError, QueueFullError } from '../../lib/index';
import type { QueueLike, WaitOptions } from '../../lib/index';
import { StubQueue } from '../../lib/testing';

/** A get never waits, nor does a put: there is room for anything. */
export class Impatient<T> implements QueueLike<T> {
  readonly items: T[] = [];

  put(item: T): void | Promise<void> {
    this.items.push(item);
  }

  get(): T | Promise<T> {
    if (this.items.length === 0) throw new QueueEmptyError();
    return this.items.shift()!;
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

/** Room for one item. */
export class OneItem<T> extends Impatient<T> {
  override put(item: T): void | Promise<void> {
    if (this.items.length > 0) throw new QueueFullError();
    return super.put(item);
  }
}

/** What derives from BaseQueue and has the four methods alone: a lease is a get, and what goes back is put again. */
export class FourOverridden<T = unknown> extends BaseQueue<T> {
  protected inner = new StubQueue<T>(this.descriptor);

  override put(item: T, options?: WaitOptions): Promise<void> {
    return this.inner.put(item, options);
  }

  override get(options?: WaitOptions): Promise<T> {
    return this.inner.get(options);
  }

  override empty(): Promise<boolean> {
    return this.inner.empty();
  }

  override qsize(): Promise<number> {
    return this.inner.qsize();
  }
}
