/** What an inner queue that answers later was asked before a shutdown: an item on its way is in no queue, and is not lost. */
import { QueueDescriptor, QueueEmptyError, registerQueueImplementation, resolveDescriptor } from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

/** Takes at once, and answers when it is told to. */
class Slow implements QueueLike<number> {
  readonly items: number[] = [];
  private answers: (() => void)[] = [];

  /** How many answers it owes. */
  get owed(): number {
    return this.answers.length;
  }

  answer(most = Infinity): void {
    for (const answer of this.answers.splice(0, most)) answer();
  }

  private later(): Promise<void> {
    return new Promise((resolve) => this.answers.push(resolve));
  }

  async put(item: number): Promise<void> {
    await this.later();
    this.items.push(item);
  }

  async get(): Promise<number> {
    const item = this.items.shift();
    if (item === undefined) throw new QueueEmptyError();
    await this.later();
    return item;
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

registerQueueImplementation('slow', Slow);

let queue: Queue<number> & Slow;

beforeEach(() => {
  queue = resolveDescriptor(new QueueDescriptor({ queueId: 'slow', queueType: 'slow' })) as typeof queue;
});

afterEach(() => queue.close());

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    ({ code }: { code: string }) => code,
  );

test.each(['get', 'lease'] as const)(
  'a %s that has its item, but not its answer, is served; then it ends',
  async (call) => {
    queue.items.push(1);
    const taken = queue[call]();
    const behind = codeOf(queue.get());
    const over = queue.shutdown();
    const afterwards = codeOf(queue.get());
    await turn();
    queue.answer();
    const given = await taken;
    if (typeof given === 'object') await given.ack();
    else expect(given).toBe(1);
    await over;
    expect([await behind, await afterwards]).toEqual(['ERR_QUEUE_SHUT_DOWN', 'ERR_QUEUE_SHUT_DOWN']);
  },
);

/** Answers in each turn of the event loop until then. */
async function answeringUntil(end: Promise<unknown>): Promise<void> {
  let isOver = false;
  void end.then(() => (isOver = true));
  while (!isOver) {
    await turn();
    queue.answer();
  }
}

test('an item whose put is not answered comes to those who wait', async () => {
  const got: number[] = [];
  const loop = (async () => {
    for await (const item of queue) got.push(item);
  })();
  const put = queue.put(1);
  await answeringUntil(Promise.all([put, queue.shutdown(), loop]));
  expect(got).toEqual([1]);
});

test('an immediate shutdown beside a get that takes the last but one is over', async () => {
  queue.items.push(1, 2);
  const taken = queue.get();
  const over = queue.shutdown({ immediate: true });
  while (queue.owed < 2) await turn();
  queue.answer(1);
  expect(await taken).toBe(1);
  await over;
});

test('what comes for nobody after an immediate shutdown is dropped', async () => {
  queue.items.push(1);
  const waiting = codeOf(queue.get());
  await queue.shutdown({ immediate: true });
  expect(await waiting).toBe('ERR_QUEUE_SHUT_DOWN');
  queue.answer();
  await turn();
  expect([await queue.qsize(), await codeOf(queue.get({ block: false }))]).toEqual([0, 'ERR_QUEUE_SHUT_DOWN']);
  await queue.close();
  expect(queue.items).toEqual([]);
});

test('one that never answers does not hold up the end', async () => {
  queue.items.push(1);
  const taken = codeOf(queue.get());
  await queue.shutdown();
  expect(await taken).toBe('ERR_QUEUE_SHUT_DOWN');
});
