/** An inner get that waits for an item whatever its options say, and cannot be called off. */
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor, SerializationError } from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';
import { failsInTime, turn } from '../../lib/testing/harness';

class DeafToGets implements QueueLike<number> {
  readonly items: number[] = [];
  readonly waiting: { resolve(item: number): void; reject(error: Error): void }[] = [];

  put(item: number): void {
    const getter = this.waiting.shift();
    if (getter === undefined) this.items.push(item);
    else getter.resolve(item);
  }

  async get(): Promise<number> {
    if (this.items.length > 0) return this.items.shift()!;
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

registerQueueImplementation('deaf_to_gets', DeafToGets);

let queue: Queue<number> & DeafToGets;

beforeEach(() => {
  queue = resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType: 'deaf_to_gets' })) as typeof queue;
});

afterEach(() => queue.close());

test('a get that does not wait ends, and the next one has the item it asked for', async () => {
  await expect(queue.get({ block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  await expect(queue.get({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  await queue.put(1);
  await queue.put(2);
  expect([await queue.get(), await queue.get()]).toEqual([1, 2]);
});

test('getMany ends with what is there', async () => {
  await queue.put(1);
  await queue.put(2);
  expect(await queue.getMany(5)).toEqual([1, 2]);
  await queue.put(3);
  expect(await queue.get({ block: false })).toBe(3);
});

test('a get that gave up leaves one question open, however often it is repeated', async () => {
  for (let i = 0; i < 3; i++) await failsInTime(() => queue.get({ timeoutMs: 10 }), 'ERR_QUEUE_EMPTY', 10);
  expect(queue.waiting).toHaveLength(1);
});

test('what comes for those who left is given out in order', async () => {
  const controller = new AbortController();
  const left = [queue.get({ signal: controller.signal }), queue.get({ signal: controller.signal })];
  await turn();
  controller.abort();
  await Promise.allSettled(left);
  for (const item of [1, 2, 3]) await queue.put(item);
  expect(await queue.getMany(3)).toEqual([1, 2, 3]);
});

test('an item that cannot be decoded and comes for one who left is reported by the next get', async () => {
  await expect(queue.get({ block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  const error = new SerializationError('undecodable', { bytes: Buffer.from('lost?'), codecId: 2 });
  queue.waiting.shift()!.reject(error);
  await turn();
  await expect(queue.get({ timeoutMs: 1000 })).rejects.toBe(error);
});

test('any other error for one who left is not', async () => {
  const controller = new AbortController();
  const left = queue.get({ signal: controller.signal });
  controller.abort();
  const next = queue.get();
  queue.waiting.shift()!.reject(new Error('as an inner queue that heeds the signal would say'));
  await expect(left).rejects.toBe(controller.signal.reason);
  await turn();
  await queue.put(1);
  expect(await next).toBe(1);
});

test('an item that comes after the handle was closed goes back into the queue', async () => {
  const left = queue.get();
  await turn();
  const closing = queue.close();
  await expect(left).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  await closing;
  queue.waiting.shift()!.resolve(1);
  await turn();
  expect(queue.items).toEqual([1]);
});
