import {
  QueueClosedError,
  QueueDescriptor,
  QueueShutDownError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue } from '../../lib/index';
import { failsInTime, turn } from '../../lib/testing/harness';
import { Impatient } from './queues';

class ImpatientLater extends Impatient<number> {
  override async get(): Promise<number> {
    return super.get();
  }
}

registerQueueImplementation('impatient', Impatient);
registerQueueImplementation('impatient_later', ImpatientLater);

describe.each(['impatient', 'impatient_later'])('a get from an empty %s, which never waits by itself', (queueType) => {
  let queue: Queue<number>;

  beforeEach(() => {
    queue = resolveDescriptor<number>(new QueueDescriptor({ queueId: 'fixwrap', queueType }));
  });

  afterEach(() => queue.close());

  it('waits for an item', async () => {
    const waiting = queue.get();
    for (let i = 0; i < 5; i++) await turn();
    await queue.put(1);
    expect(await waiting).toBe(1);
  });

  it('waits for its whole timeout, and not at all without one', async () => {
    await failsInTime(() => queue.get({ timeoutMs: 200 }), 'ERR_QUEUE_EMPTY', 200);
    await failsInTime(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY', 0);
  });

  it('serves those who wait in order', async () => {
    const waiting = [queue.get(), queue.lease(), queue.get({ timeoutMs: 5000 })] as const;
    await turn();
    await queue.putMany([1, 2, 3]);
    const [first, second, third] = await Promise.all(waiting);
    expect([first, second.item, third]).toEqual([1, 2, 3]);
    await second.ack();
  });

  it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    ['get', (signal) => queue.get({ signal })],
    ['getMany', (signal) => queue.getMany(2, { signal })],
    ['lease', (signal) => queue.lease({ signal })],
    ['leaseMany', (signal) => queue.leaseMany(2, { signal })],
  ])('is called off while it looks whether the queue, which was shut down, is drained: %s', async (_call, take) => {
    await queue.put(1);
    const held = await queue.lease();
    await queue.shutdown();
    const ending = new AbortController();
    const waiting = take(ending.signal);
    ending.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await held.release();
    expect(await queue.get()).toBe(1);
  });

  it('is how an iteration waits, which ends once the queue is shut down and drained', async () => {
    const seen: number[] = [];
    const loops = [1, 2].map(async () => {
      for await (const item of queue) seen.push(item);
    });
    await turn();
    await queue.putMany([1, 2, 3]);
    await queue.shutdown();
    await Promise.all(loops);
    expect(seen).toEqual([1, 2, 3]);
  });

  it('ends at an abort, at shutdown and at close', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = queue.get({ signal: controller.signal });
    const shutDown = [queue.get(), queue.get()];
    await turn();
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await queue.shutdown();
    await Promise.all(shutDown.map((waiting) => expect(waiting).rejects.toThrow(QueueShutDownError)));

    const other = resolveDescriptor<number>(new QueueDescriptor({ queueId: 'fixwrap', queueType }));
    const closed = other.get();
    await turn();
    await other.close();
    await expect(closed).rejects.toThrow(QueueClosedError);
  });
});
