import { QueueConnectionError, QueueDescriptor, QueueShutDownError } from '../../lib';
import type { Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { encodeItem } from '../../lib/codec/registry';
import { StubQueue } from '../../lib/testing';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('waiting calls get a clear error, and nothing that was acknowledged is lost', async () => {
  const { server, port, backing } = await fixture.serve({ maxsize: 500 });
  const producer = fixture.client<number>(port);
  const getter = fixture.client<number>(port, { queueId: 'q' });
  let acknowledged = 0;
  const producing = (async () => {
    for (let number = 0; ; number++) {
      await producer.put(number);
      acknowledged = number + 1;
    }
  })().catch((error: Error) => error);
  const full = until(() => acknowledged === 500);
  await full;
  const taken = await getter.getMany(100);
  const waiting = fixture.client<number>(port);
  await until(() => acknowledged === 600);
  const stopped = server.stop();
  const error = await producing;
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect((error as Error).message).toContain('stopping');
  await stopped;
  const left = await backing.getMany(1000);
  expect([...taken, ...left]).toEqual(Array.from({ length: acknowledged }, (_, number) => number));
  expect(await errorOf(waiting.get({ timeoutMs: 200 }))).toBeInstanceOf(QueueConnectionError);
});

test('a waiting get fails; an item on lease may still be acknowledged within the grace time', async () => {
  const { server, port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany(['a', 'b', 'c']);
  const kept = await queue.lease();
  const acked = await queue.lease();
  await queue.get();
  const waiting = errorOf(queue.get());
  await until(async () => (await backing.stats()).waitingGetters === 1);
  const stopped = server.stop({ graceMs: 400 });
  const error = await waiting;
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('stopping');
  await acked.ack();
  await stopped;
  expect(await errorOf(kept.ack())).toBeInstanceOf(QueueConnectionError);
  expect(await backing.getMany(10)).toEqual(['a']);
});

test.each([2 ** 31, Infinity])('leases may be settled for a grace time of %d ms', async (graceMs) => {
  const { server, port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  await queue.putMany(Array.from({ length: 100 }, (_, number) => number));
  const held = await queue.leaseMany(100);
  const waiting = errorOf(fixture.client(port).get());
  await until(async () => (await backing.stats()).waitingGetters === 1);
  const stopped = server.stop({ graceMs });
  expect((await waiting).message).toContain('stopping');
  for (const lease of held.leases) await lease.ack();
  await stopped;
  expect(await backing.qsize()).toBe(0);
});

describe('what the server has in front of its queue', () => {
  async function withFront(): Promise<{ server: QueueServer; backing: Queue; warnings: jest.SpyInstance }> {
    const { server, port, backing } = await fixture.serve({ maxsize: 1 });
    await fixture.client(port).put('first');
    const [served] = await Promise.all(server['served']['opened'].values());
    served!.requeue(ItemBatch.single(encodeItem('back')));
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    fixture.later(async () => warnings.mockRestore());
    return { server, backing, warnings };
  }

  test('finds the room that comes while the server stops', async () => {
    const { server, backing } = await withFront();
    const stopped = server.stop({ graceMs: 10 });
    await until(async () => (await backing.stats()).waitingPutters === 1);
    expect(await backing.get()).toBe('first');
    await stopped;
    expect(await backing.get()).toBe('back');
  });

  test('and finds none: the server says so, and closes all the same', async () => {
    const { server, warnings } = await withFront();
    await server.stop({ graceMs: 10 });
    expect(warnings).toHaveBeenCalledTimes(1);
    expect(warnings).toHaveBeenCalledWith(expect.stringMatching(/^1 items that clients of 'q' gave back are lost: /));
  });
});

test('one queue that cannot be closed keeps no other one open, and stop tells of it', async () => {
  const server = new QueueServer({ queues: (queueId) => QueueDescriptor.createLocalQueue(`stop-${queueId}`) });
  const { port } = await server.start();
  const [bad, good] = [fixture.client(port, { queueId: 'bad' }), fixture.client(port, { queueId: 'good' })];
  await Promise.all([bad.put(1), good.put(1)]);
  const served = await Promise.all(server['served']['opened'].values());
  const named = (name: string): Queue => served.find(({ queueId }) => queueId === name)!.queue;
  const close = jest.spyOn(named('bad'), 'close').mockRejectedValueOnce(new Error('it will not'));
  await expect(server.stop({ graceMs: 10 })).rejects.toThrow('it will not');
  expect(await errorOf(named('good').qsize())).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  close.mockRestore();
  await named('bad').close();
});

test('is idempotent, needs no client, and frees the port', async () => {
  const { server, port } = await fixture.serve();
  await Promise.all([server.stop(), server.stop()]);
  const again = await fixture.serve({ port });
  expect(again.port).toBe(port);
});

test('before start() it is forgotten, and while the server starts it waits for that', async () => {
  const { port: taken } = await fixture.serve();
  const server = new QueueServer({ queues: { q: new StubQueue(QueueDescriptor.createLocalQueue('fixrpc')) } });
  await server.stop();
  const { port } = await server.start();
  const queue = fixture.client(port);
  await queue.put(1);
  await server.stop();
  await (await fixture.serve({ port })).server.stop();

  const stoppedAtOnce = new QueueServer({ port, queues: {} });
  const started = stoppedAtOnce.start();
  await stoppedAtOnce.stop();
  expect((await started).port).toBe(port);
  await fixture.serve({ port });

  const refused = new QueueServer({ port: taken, queues: {} });
  const starting = errorOf(refused.start());
  await refused.stop();
  expect(await starting).toBeInstanceOf(QueueConnectionError);
});

test('a client goes on with the server that comes next on the port', async () => {
  const { server, port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.put(1);
  await server.stop();
  const put = queue.put(2);
  await fixture.serve({ port, queues: { q: backing } });
  await put;
  expect(await queue.getMany(5)).toEqual([1, 2]);
});

test('shutdown reaches every client, and drains', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  const other = fixture.client(port);
  await queue.putMany([1, 2]);
  await other.shutdown();
  expect(await errorOf(queue.put(3))).toBeInstanceOf(QueueShutDownError);
  const seen: unknown[] = [];
  for await (const item of queue) seen.push(item);
  expect(seen).toEqual([1, 2]);
  expect(await errorOf(other.get())).toBeInstanceOf(QueueShutDownError);
});

test('stopped under full traffic, again and again: every call ends, and what was acknowledged is there', async () => {
  for (let round = 0; round < 8; round++) {
    const { server, port, backing } = await fixture.serve();
    const queue = fixture.client<number>(port);
    let acknowledged = 0;
    const producing = Array.from({ length: 64 }, async () => {
      for (;;) {
        await queue.put(1);
        acknowledged++;
      }
    });
    const ends = Promise.all(producing.map((loop) => errorOf(loop)));
    await until(() => acknowledged > 200 * round);
    await server.stop();
    // Calls made once the server had said so look for the next one on the port; there is none.
    await queue.close();
    for (const error of await ends) expect(['ERR_QUEUE_CONNECTION', 'ERR_QUEUE_CLOSED']).toContain(error.code);
    expect(await backing.qsize()).toBe(acknowledged);
  }
}, 60_000);
