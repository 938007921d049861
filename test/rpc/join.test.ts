/** The end of work over rpc: join(), stats().leased, and the deaths that a queue has counted. */
import { QueueDescriptor, QueueProducerLostError, registerQueueImplementation } from '../../lib';
import type { QueueLike } from '../../lib';
import { encodeItem } from '../../lib/codec/registry';
import { ClientStates } from '../../lib/server/client-state';
import { ServedQueue } from '../../lib/server/served-queue';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import { attach, describeQueue, start } from '../shm/child';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  let over = false;
  promise.then(
    () => (over = true),
    () => (over = true),
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  return over;
};

test('join waits for what is in the queue and on lease, whoever holds it', async () => {
  const { port, backing } = await fixture.serve();
  const [queue, other] = [fixture.client(port), fixture.client(port)];
  await queue.join();
  await queue.putMany([1, 2]);
  const joins = Promise.all([queue.join(), other.join(), queue.join({ timeoutMs: 10_000 })]);
  const lease = await other.lease();
  expect(await queue.get()).toBe(2);
  expect(await settled(joins)).toBe(false);
  expect((await queue.stats()).leased).toBe(1);
  await lease.ack();
  await joins;
  expect((await queue.stats()).leased).toBe(0);
  await backing.put(3);
  const inside = queue.join();
  const held = await backing.lease();
  expect(await settled(inside)).toBe(false);
  await held.ack();
  await inside;
});

test('what was read ahead is in the queue, and not on lease', async () => {
  const { port } = await fixture.serve();
  const [queue, other] = [fixture.client(port), fixture.client(port)];
  await other.putMany(Array.from({ length: 100 }, (_, index) => index));
  const loop = queue[Symbol.asyncIterator]();
  for (let index = 0; index < 20; index++) await loop.next();
  await until(async () => {
    const { qsize, leased } = await other.stats();
    return qsize === 80 && leased === 0;
  });
  const join = other.join();
  expect(await settled(join)).toBe(false);
  for (let index = 20; index < 100; index++) await loop.next();
  await join;
  await loop.return!();
});

test('a join ends with its time, its signal, its handle', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.put(1);
  for (const timeoutMs of [0, 20]) expect((await errorOf(queue.join({ timeoutMs }))).code).toBe('ERR_QUEUE_TIMEOUT');
  const leaving = new AbortController();
  const aborted = errorOf(queue.join({ signal: leaving.signal }));
  await queue.stats();
  leaving.abort(new Error('enough'));
  expect((await aborted).message).toBe('enough');
  const closed = errorOf(queue.join());
  await queue.stats();
  await queue.close();
  expect((await closed).code).toBe('ERR_QUEUE_CLOSED');
});

test('a join outlives its connection, and ends with its server', async () => {
  const { server, port: direct } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const [queue, other] = [fixture.client(port), fixture.client(direct)];
  await other.put(1);
  const join = queue.join();
  await queue.stats();
  proxy.cut();
  expect(await settled(join)).toBe(false);
  expect(await other.get()).toBe(1);
  await join;
  await other.put(2);
  const stopped = errorOf(queue.join());
  await queue.stats();
  await server.stop({ graceMs: 0 });
  expect((await stopped).code).toBe('ERR_QUEUE_CONNECTION');
});

test('an item that came back after it was settled is not finished', async () => {
  const { backing } = await fixture.serve();
  const served = new ServedQueue('q', backing, false, new ClientStates(1000, 10, 1000));
  const { signal } = new AbortController();
  served.requeue(ItemBatch.single(encodeItem('a')));
  expect((await errorOf(served.join(20, signal))).message).toContain('time was over');
  const joins = [served.join(Infinity, signal), served.join(Infinity, signal)];
  const { leased } = served.takeNow(1)!;
  expect(await served.query()).toMatchObject({ qsize: 0, leased: 1 });
  expect(await settled(Promise.race(joins))).toBe(false);
  await leased.run.end(0, 1, false);
  const again = served.takeNow(1)!;
  expect(await settled(Promise.race(joins))).toBe(false);
  await again.leased.run.end(0, 1, true);
  await Promise.all(joins);
  expect(await served.query()).toMatchObject({ qsize: 0, leased: 0 });
});

class FourMethods implements QueueLike {
  put(): void {}
  get(): unknown {
    return 1;
  }
  empty(): boolean {
    return false;
  }
  qsize(): number {
    return 1;
  }
}

test('a queue that cannot know what others hold says so', async () => {
  registerQueueImplementation('cannot_know', FourMethods);
  const { port } = await fixture.serve({
    queues: { q: new QueueDescriptor({ queueId: 'q', queueType: 'cannot_know' }) },
  });
  const queue = fixture.client(port);
  const error = await errorOf(queue.join());
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain('cannot_know');
});

test('a producer that died at the host of the queue is told beyond it', async () => {
  const descriptor = describeQueue('sage_queue');
  const { port } = await fixture.serve({ queues: { q: descriptor } });
  const queue = fixture.client(port);
  const producer = start(`const queue = open({ producer: true }); queue.putSync('a'); say(1); hear();`, descriptor);
  await producer.next();
  expect(await queue.get()).toBe('a');
  const loop = errorOf(
    (async () => {
      for await (const item of queue) expect(item).toBe('b');
    })(),
  );
  await producer.kill();
  expect(await loop).toBeInstanceOf(QueueProducerLostError);
  attach(descriptor).unlinkSync();
});

test('the deaths that the queue has counted arrive with the lease', async () => {
  const descriptor = describeQueue('sage_queue');
  const { port } = await fixture.serve({ queues: { q: descriptor } });
  const queue = fixture.client(port);
  await queue.putMany(['a', 'b', 'c']);
  const holder = start(`const queue = open(); queue.leaseSync(); say(1); hear();`, descriptor);
  await holder.next();
  await holder.kill();
  await until(async () => (await queue.qsize()) === 3);
  const batch = await queue.leaseMany(3);
  expect(batch.leases.map(({ item, deliveries, crashes }) => [item, deliveries, crashes])).toEqual([
    ['a', 2, 1],
    ['b', 1, 0],
    ['c', 1, 0],
  ]);
  await batch.ack();
  attach(descriptor).unlinkSync();
});
