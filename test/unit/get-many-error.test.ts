/** An error that strikes a getMany after its first item: the items are given, and the error is for the next call. */
import {
  BaseQueue,
  QueueDescriptor,
  QueueEmptyError,
  registerQueueImplementation,
  resolveDescriptor,
  SerializationError,
} from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';

const undecodable = (): SerializationError =>
  new SerializationError('undecodable', { bytes: Buffer.from('the item'), codecId: 2 });

/** Errors among the items stand for what cannot be decoded. */
class FourMethods implements QueueLike {
  private readonly items: unknown[] = [];

  put(item: unknown): void {
    this.items.push(item);
  }

  get(): unknown {
    if (this.items.length === 0) throw new QueueEmptyError();
    const item = this.items.shift();
    if (item instanceof Error) throw item;
    return item;
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

class Derived extends BaseQueue {
  private readonly inner = new FourMethods();

  async put(item: unknown): Promise<void> {
    this.inner.put(item);
  }

  async get(): Promise<unknown> {
    return this.inner.get();
  }

  async empty(): Promise<boolean> {
    return this.inner.empty();
  }

  async qsize(): Promise<number> {
    return this.inner.qsize();
  }
}

registerQueueImplementation('four_methods', FourMethods);
registerQueueImplementation('derived', Derived);

describe.each(['four_methods', 'derived'])('of a type with %s', (queueType) => {
  let queue: Queue;
  let error: SerializationError;

  beforeEach(async () => {
    queue = resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType }));
    error = undecodable();
    for (const item of [1, error, 3, 4]) await queue.put(item);
    expect(await queue.getMany(10)).toEqual([1]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['get', () => queue.get()],
    ['getMany', () => queue.getMany(10)],
    ['lease', () => queue.lease()],
    ['an iteration', () => queue[Symbol.asyncIterator]().next()],
  ])('%s throws it once, and the rest follows', async (_name, next) => {
    await expect(next()).rejects.toBe(error);
    expect(await queue.getMany(10)).toEqual([3, 4]);
    await expect(queue.get({ block: false })).rejects.toThrow(QueueEmptyError);
  });
});
