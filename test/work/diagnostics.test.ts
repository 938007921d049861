/** The channels of node:diagnostics_channel: what happens to queues, told to whoever subscribed. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { attach, describeQueue, start, types, until } from '../shm/child';
import { queueTypes } from './queues';

const endings: (() => void)[] = [];
afterEach(() => endings.splice(0).forEach((end) => end()));

/** The messages of one channel, from here to the end of the test. */
function heard<M>(name: string): M[] {
  const messages: M[] = [];
  const listener = (message: unknown): void => void messages.push(message as M);
  subscribe(name, listener);
  endings.push(() => unsubscribe(name, listener));
  return messages;
}

interface Wait {
  queue: QueueDescriptor;
  call: string;
  waitedMs: number;
  error?: { code?: string };
}

const queuesOf = (messages: { queue: QueueDescriptor }[], queue: Queue): number =>
  messages.filter((message) => message.queue === queue.descriptor).length;

describe.each(Object.entries(queueTypes).filter(([type]) => type !== 'stub'))('%s', (_type, make) => {
  test('sage-queue:open and sage-queue:close tell the life of each handle, once', async () => {
    const opened = heard<{ queue: QueueDescriptor }>('sage-queue:open');
    const closed = heard<{ queue: QueueDescriptor; collected: boolean }>('sage-queue:close');
    const queue = await make();
    const beside = resolveDescriptor(queue.descriptor) as Queue;
    expect(queuesOf(opened, queue)).toBe(queue.descriptor === beside.descriptor ? 2 : 1);
    expect(queuesOf(closed, queue)).toBe(0);
    const before = closed.length;
    await beside.close();
    await beside.close();
    expect(closed.slice(before)).toEqual([{ queue: beside.descriptor, collected: false }]);
  });

  test('sage-queue:wait tells how long a call waited, and what it ended with', async () => {
    const queue = await make();
    // The first call may have to connect, which is no wait for the queue.
    await queue.qsize();
    const waits = heard<Wait>('sage-queue:wait');
    const getting = queue.get();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await queue.put('item');
    await getting;
    await expect(queue.get({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
    const gets = waits.filter((wait) => wait.call === 'get' && wait.queue === queue.descriptor);
    expect(gets).toEqual([
      { queue: queue.descriptor, call: 'get', waitedMs: expect.any(Number) },
      { queue: queue.descriptor, call: 'get', waitedMs: expect.any(Number), error: expect.anything() },
    ]);
    expect(gets[0]!.waitedMs).toBeGreaterThanOrEqual(29);
    expect(gets[1]).toMatchObject({ error: { code: 'ERR_QUEUE_EMPTY' } });
  });

  test('sage-queue:redelivered tells of each lease of an item that was on lease before', async () => {
    const queue = await make();
    const redelivered = heard<{ deliveries: number; crashes: number }>('sage-queue:redelivered');
    await queue.putMany(['one', 'two']);
    await (await queue.leaseMany(2)).release();
    await (await queue.lease()).ack();
    await (await queue.lease()).ack();
    const expected = { queue: expect.any(QueueDescriptor), deliveries: 2, crashes: 0 };
    const own = redelivered.filter((message) => (message as unknown as Wait).queue === queue.descriptor);
    expect(own).toEqual([expected, expected]);
  });
});

test('a put that waits for room is told, and so is a join', async () => {
  const waits = heard<Wait>('sage-queue:wait');
  const queue = resolveDescriptor(QueueDescriptor.createLocalQueue(undefined, { maxsize: 1 })) as Queue;
  await queue.put(1);
  await expect(queue.put(2, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' });
  await expect(queue.join({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
  expect(waits.map(({ call, error }) => [call, error?.code])).toEqual([
    ['put', 'ERR_QUEUE_FULL'],
    ['join', 'ERR_QUEUE_TIMEOUT'],
  ]);
  await queue.get();
  await queue.close();
});

test.each(types)('%s: a call that blocks its thread is told as well', (type) => {
  const waits = heard<Wait>('sage-queue:wait');
  const queue = attach(describeQueue(type, { maxsize: 1 }));
  expect(() => queue.getSync({ timeoutMs: 300 })).toThrow('empty');
  queue.putSync(1);
  expect(() => queue.putSync(2, { timeoutMs: 300 })).toThrow('no room');
  expect(waits).toMatchObject([
    { queue: queue.descriptor, call: 'get' },
    { queue: queue.descriptor, call: 'put' },
  ]);
  // The time until it waits is no wait: a busy machine may take some.
  expect(Math.min(...waits.map(({ waitedMs }) => waitedMs))).toBeGreaterThan(150);
  queue.unlinkSync();
  queue.closeSync();
});

test.each(types)('%s: sage-queue:recovered tells what came back from the dead', async (type) => {
  const recovered = heard<{ queue: QueueDescriptor; count: number; total: number }>('sage-queue:recovered');
  const queue = attach(describeQueue(type));
  queue.putManySync([1, 2, 3]);
  const child = start(
    'const queue = open(); queue.leaseSync(); say("leased"); queue.getManySync(9); queue.getSync();',
    queue.descriptor,
  );
  expect(await child.next()).toBe('leased');
  expect(recovered).toEqual([]);
  await child.kill();
  await until('it is told', () => recovered.length > 0);
  const { recovered: total } = await queue.stats();
  await until('all of it', () => recovered.at(-1)!.total === total);
  expect(recovered.reduce((sum, { count }) => sum + count, 0)).toBe(total);
  expect(recovered[0]!.queue).toBe(queue.descriptor);
  queue.unlinkSync();
  queue.closeSync();
});

test('a handle that was opened while nobody listened says nothing later: nothing was built for that', async () => {
  const queue = resolveDescriptor(QueueDescriptor.createLocalQueue()) as Queue;
  const closed = heard('sage-queue:close');
  await queue.close();
  expect(closed).toEqual([]);
});
