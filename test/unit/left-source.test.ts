/** What the source of a putMany does when it is left, since the call has failed: neither the error nor the end of the call is up to it. */
import {
  attachToShmQueue,
  getLocalQueue,
  getSageQueue,
  QueueDescriptor,
  QueueFullError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue } from '../../lib/index';
import { turn } from '../../lib/testing/harness';
import { FourOverridden, OneItem } from '../adapter/queues';

/** Room for one item; what is bad it does not take. */
class Choosy extends OneItem<unknown> {
  override put(item: unknown): void | Promise<void> {
    if (item === BAD) throw new Error('bad');
    return super.put(item);
  }
}

/** No queue takes it. */
const BAD = new Proxy(() => {}, {});

registerQueueImplementation('choosy', Choosy);

const metadata = { maxsize: 1 };
const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('left-source', { maxsize: 1, schema: { a: 'u8' } }),
  shm: () => attachToShmQueue(undefined, 'left-source', metadata),
  sage_queue: () => getSageQueue('left-source', metadata),
  custom: () => resolveDescriptor(new QueueDescriptor({ queueId: 'left-source', queueType: 'choosy', metadata })),
  derived: () => new FourOverridden(new QueueDescriptor({ queueId: 'left-source', queueType: 'stub', metadata })),
};

const GOOD = { a: 1 };

/** Brings these, and does not end when it is left. */
const stubborn = (...items: unknown[]): AsyncIterable<unknown> => ({
  [Symbol.asyncIterator]: () => ({
    next: () => Promise.resolve({ done: false, value: items.length > 1 ? items.shift() : items[0] }),
    return: () => new Promise(() => {}),
  }),
});

describe.each(Object.entries(makers))('%s', (type, make) => {
  let queue: Queue;
  let other: Queue;

  beforeEach(() => {
    queue = make();
    other = make();
  });

  afterEach(async () => {
    await other.getMany(10, { block: false }).catch(() => {});
    await Promise.all([queue.close(), other.close()]);
  });

  test('a handle that is closed does not wait for it', async () => {
    const called = queue.putMany(stubborn(GOOD)).catch((error: unknown) => error);
    while (!(await queue.full())) await turn();
    await queue.close();
    // What derives from BaseQueue and has no close of its own goes on with its put.
    if (type !== 'derived') expect(await called).toMatchObject({ code: 'ERR_QUEUE_CLOSED', accepted: 1 });
  });

  test('what a generator throws as it cleans up is not what the call says', async () => {
    const cleaning = function* (): Generator<unknown> {
      try {
        for (;;) yield GOOD;
      } finally {
        throw new Error('cleaned up');
      }
    };
    const error: unknown = await queue.putMany(cleaning(), { timeoutMs: 30 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(QueueFullError);
    expect(error).toMatchObject({ accepted: 1 });
  });

  test('a getter that throws, of what its iterator gave, is an error of the source', async () => {
    const step = Object.defineProperty({ done: false }, 'value', {
      get() {
        throw new Error('unreadable');
      },
    });
    const source = { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(step) }) };
    await expect(queue.putMany(source as never)).rejects.toMatchObject({ message: 'unreadable', accepted: 0 });
  });

  // The derived one takes anything.
  if (type === 'derived') return;

  /** When an item is refused, its source is waited for until the call would have ended anyhow. */
  test.each<[string, (ending: AbortController) => unknown]>([
    ['its signal', (ending) => ending.abort()],
    ['the close of the handle', () => queue.close()],
  ])('one that is refused an item is waited for, until %s', async (_name, end) => {
    const ending = new AbortController();
    const called = queue.putMany(stubborn(BAD), { signal: ending.signal }).catch((error: unknown) => error);
    const told = jest.fn();
    void called.then(told);
    for (let count = 0; count < 10; count++) await turn();
    expect(told).not.toHaveBeenCalled();
    await end(ending);
    expect(await called).toMatchObject({ accepted: 0, message: expect.not.stringMatching(/abort|closed/) as string });
  });

  test('… or its time', async () => {
    const called = queue.putMany(stubborn(BAD), { timeoutMs: 30 });
    await expect(called).rejects.toMatchObject({ accepted: 0, message: expect.not.stringMatching(/time/) as string });
  });
});
