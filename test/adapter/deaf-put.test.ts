/** An inner put that waits for room whatever its options say, and cannot be called off. */
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor } from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';
import { failsInTime, turn } from '../../lib/testing/harness';

/** Room for one item. */
class DeafToPuts implements QueueLike<number> {
  readonly items: number[] = [];
  readonly waiting: (() => void)[] = [];

  async put(item: number): Promise<void> {
    if (this.items.length > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.items.push(item);
  }

  get(): number {
    const item = this.items.shift()!;
    this.waiting.shift()?.();
    return item;
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

registerQueueImplementation('deaf_to_puts', DeafToPuts);

let queue: Queue<number> & DeafToPuts;

beforeEach(async () => {
  queue = resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType: 'deaf_to_puts' })) as typeof queue;
  await queue.put(1);
});

afterEach(() => queue.close());

const unknown = (code: string): object => ({ code, outcome: 'unknown' });

test('a timeout ends it; the item may go in later', async () => {
  await failsInTime(() => queue.put(2, { timeoutMs: 50 }), 'ERR_QUEUE_FULL', 50);
  expect(await queue.get()).toBe(1);
  await turn();
  expect(queue.items).toEqual([2]);
});

test.each([{ block: false }, { timeoutMs: 10 }])('%j: the error says that the outcome is unknown', async (options) => {
  await expect(queue.put(2, options)).rejects.toMatchObject(unknown('ERR_QUEUE_FULL'));
});

test('an abort ends it with the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = queue.put(2, { signal: controller.signal });
  await turn();
  controller.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  expect(reason).not.toHaveProperty('outcome');
});

test.each([
  ['close', 'ERR_QUEUE_CLOSED'],
  ['shutdown', 'ERR_QUEUE_SHUT_DOWN'],
] as const)('%s ends it', async (end, code) => {
  const ended = [queue.put(2), queue.put(3, { timeoutMs: 5000 })].map((put) =>
    expect(put).rejects.toMatchObject(unknown(code)),
  );
  await turn();
  await queue[end]();
  await Promise.all(ended);
});

test('while an item is in doubt the queue is asked for nothing else, so what is put again is not put many times', async () => {
  await expect(queue.put(2, { timeoutMs: 10 })).rejects.toMatchObject(unknown('ERR_QUEUE_FULL'));
  for (let i = 0; i < 3; i++) {
    const again: unknown = await queue.put(2, { timeoutMs: 10 }).catch((error: unknown) => error);
    expect(again).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    // It was not tried at all.
    expect((again as { outcome?: string }).outcome).toBeUndefined();
  }
  expect(queue.waiting).toHaveLength(1);
  const last = queue.put(3);
  expect([await queue.get(), await queue.get()]).toEqual([1, 2]);
  await last;
  expect(await queue.get()).toBe(3);
});

test('an item that the inner queue takes after all in the moment of grace is in', async () => {
  const controller = new AbortController();
  const put = queue.put(2, { signal: controller.signal });
  await turn();
  controller.abort();
  expect(await queue.get()).toBe(1);
  await put;
  expect(await queue.get()).toBe(2);
});

test('putMany says how many are in for certain', async () => {
  const putting = queue.putMany([2, 3], { timeoutMs: 50 });
  await expect(putting).rejects.toMatchObject({ ...unknown('ERR_QUEUE_FULL'), accepted: 0 });
});
