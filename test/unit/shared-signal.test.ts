/** Any number of calls may wait for one signal: more than ten listeners on it would be taken for a leak. */
import { getEventListeners } from 'node:events';
import {
  attachToShmQueue,
  getLocalQueue,
  QueueDescriptor,
  QueueEmptyError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

class Impatient implements QueueLike {
  put(): void {}

  get(): unknown {
    throw new QueueEmptyError();
  }

  empty(): boolean {
    return true;
  }

  qsize(): number {
    return 0;
  }
}

registerQueueImplementation('impatient', Impatient);

const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('fixwrap-signal'),
  shm: () => attachToShmQueue(undefined, 'fixwrap-signal'),
  custom: () => resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType: 'impatient' })),
};

describe.each(Object.entries(makers))('%s', (_type, make) => {
  let queue: Queue;

  beforeEach(() => {
    queue = make();
  });

  afterEach(() => queue.close());

  it('listens once, tells all, and leaves nothing behind', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const listening = (): number => getEventListeners(signal, 'abort').length;
    const timedOut = queue.get({ signal, timeoutMs: 1 }).catch((error: unknown) => error);
    const silent = queue.putMany(
      (async function* () {
        await new Promise(() => {});
        yield 1;
      })(),
      { signal },
    );
    const waiting = [silent, ...Array.from({ length: 20 }, () => queue.get({ signal }))];
    const outcomes = Promise.allSettled(waiting);
    await turn();
    expect(listening()).toBe(1);
    expect(await timedOut).toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
    expect(listening()).toBe(1);
    controller.abort();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: signal.reason });
    expect(listening()).toBe(0);
  });

  it('takes its listener off a signal that does not fire', async () => {
    const { signal } = new AbortController();
    const waiting = [queue.get({ signal, timeoutMs: 1 }), queue.get({ signal, timeoutMs: 2 })];
    await Promise.allSettled(waiting);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
