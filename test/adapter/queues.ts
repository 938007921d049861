/** Queues of four methods, none of which waits: what `wrapQueue` and the adapter are for. */
import { QueueEmptyError, QueueFullError } from '../../lib/index';
import type { QueueLike } from '../../lib/index';

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
