/** What a handle of a remote queue has for nobody is in the queue once the handle is closed, or it is said that it is lost. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue, QueueLike, SageQueue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { ServedQueue } from '../../lib/server/served-queue';
import { freshName, run } from '../shm/child';
import { errorOf, Fixture, until } from './support/fixture';
import type { CuttingProxy } from './support/proxy';

const fixture = new Fixture();
afterEach(() => fixture.end());
afterEach(() => jest.restoreAllMocks());

test.each([
  ['a get', 'await queue.get()'],
  ['a loop', 'for await (const item of queue) break;'],
])('an item that cannot be read here and "is still in the queue": %s', async (_name, take) => {
  jest.spyOn(ServedQueue.prototype, 'schemas', 'get').mockReturnValue([]);
  const backing = resolveDescriptor(QueueDescriptor.createSageQueue(freshName(), { schema: { id: 'u32' } })) as Queue;
  fixture.later(async () => {
    (backing as SageQueue).unlinkSync();
    await backing.close();
  });
  const server = new QueueServer({ queues: { work: backing }, tokens: [{ token: 'reader', rights: ['get'] }] });
  const { port } = await server.start();
  fixture.later(() => server.stop({ graceMs: 200 }));
  await backing.putMany([{ id: 1 }, { id: 2 }]);
  const said = await run(
    `const queue = open({ credentials: { token: 'reader' } });
    (async () => {
      try { ${take}; } catch ({ message }) { say(message); }
      await queue.close();
    })();`,
    QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work'),
  );
  expect(said).toEqual([expect.stringMatching(/It is still in the queue/)]);
  // It was never taken: no death of the server's would lose it.
  expect(await backing.stats()).toMatchObject({ qsize: 2, getTotal: 0, redelivered: 0, leased: 0 });
  expect(await backing.getMany(10)).toEqual([{ id: 1 }, { id: 2 }]);
});

describe('an item in a stream', () => {
  let server: QueueServer;
  let backing: Queue;
  let port: number;
  let other: Queue<string>;
  let proxy: CuttingProxy;
  let queue: Queue<string>;
  let stream: Readable;
  let warned: jest.SpyInstance;

  beforeEach(async () => {
    warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const served = await fixture.serve();
    ({ server, backing, port } = served);
    const between = await fixture.proxy(served.port);
    ({ proxy } = between);
    other = fixture.client<string>(served.port);
    queue = fixture.client<string>(between.port);
    await other.put('unread');
    stream = queue.readable();
    stream.once('readable', () => {}); // has one item fetched
    await until(() => stream.readableLength === 1);
  });

  const closings: Record<string, () => Promise<unknown>> = {
    'with its stream': async () => {
      const closed = once(stream, 'close');
      stream.destroy();
      await closed;
      await queue.close();
    },
    'before its stream': () => queue.close(),
  };
  const connections: Record<string, () => Promise<unknown>> = {
    'is up': async () => {},
    'was down': async () => {
      proxy.cut();
      await queue.qsize();
    },
    'has just broken': async () => proxy.cut(),
    'is down': async () => {
      proxy.cut();
      const { connection } = (queue as unknown as { client: { connection: { isOpen: boolean } } }).client;
      // It is up again within milliseconds.
      while (connection.isOpen) await new Promise((resolve) => setImmediate(resolve));
    },
  };
  const cases = Object.entries(connections).flatMap((one) =>
    Object.entries(closings).map((two) => [one[0], two[0], one[1], two[1]] as const),
  );

  test.each(cases)(
    'comes again where the connection %s, the handle being closed %s',
    async (_is, _when, connection, close) => {
      await connection();
      await close();
      await until(async () => (await other.qsize()) === 1);
      expect(await other.get({ block: false })).toBe('unread');
      expect(warned).not.toHaveBeenCalled();
    },
  );

  test.each(Object.entries(connections))(
    'has gone back once the handle is closed, and who reads it is told: %s',
    async (_is, connection) => {
      await connection();
      await queue.close();
      const failed = once(stream, 'error');
      stream.read();
      expect(await failed).toEqual([expect.objectContaining({ code: 'ERR_QUEUE_CLOSED' })]);
      await until(async () => (await other.qsize()) === 1);
    },
  );

  test('is read once where the connection broke before it was', async () => {
    await connections['was down']!();
    expect(stream.read()).toBe('unread');
    await queue.close();
    expect(await other.stats()).toMatchObject({ qsize: 0, leased: 0, getTotal: 1 });
  });

  test('is in its queue when the server has stopped, and nobody waits for long to say so', async () => {
    proxy.cut();
    await Promise.all([server.stop({ graceMs: 0 }), proxy.stop()]);
    stream.destroy();
    await errorOf(queue.get({ timeoutMs: 50 }));
    await queue.close();
    expect(await backing.getMany(10)).toEqual(['unread']);
    expect(warned).not.toHaveBeenCalled();
  });

  test('is nothing that the next server is told of: its own deliveries have the same numbers', async () => {
    proxy.refusing = true;
    proxy.cut();
    await server.stop({ graceMs: 0 });
    const next = new QueueServer({ port, queues: { q: backing as QueueLike } });
    await next.start();
    fixture.later(() => next.stop({ graceMs: 0 }));
    proxy.refusing = false;
    const lease = await queue.lease();
    expect(lease.item).toBe('unread');
    expect(stream.read()).toBe('unread');
    await queue.qsize();
    await lease.release();
    expect(await backing.stats()).toMatchObject({ qsize: 1, leased: 0, getTotal: 0 });
  });

  // Acknowledged, and given back afterwards, it would be in no queue should the server die.
  test('stays on lease where the connection breaks and comes back, again and again', async () => {
    for (let breaks = 0; breaks < 3; breaks++) {
      await connections['was down']!();
      expect(await other.stats()).toMatchObject({ qsize: 0, leased: 1, getTotal: 0 });
    }
    stream.destroy();
    await until(async () => (await other.qsize()) === 1);
    expect(await other.stats()).toMatchObject({ putTotal: 1, getTotal: 0, redelivered: 0 });
  });

  test('brings the client back before it is given to others, though the program asks for nothing', async () => {
    proxy.cut();
    await until(() => server['sessions'].size === 1);
    await until(() => server['sessions'].size === 2);
    expect(await other.stats()).toMatchObject({ qsize: 0, leased: 1 });
    expect(stream.read()).toBe('unread');
    await until(async () => (await other.stats()).leased === 0);
    expect(await other.stats()).toMatchObject({ qsize: 0, getTotal: 1 });
  });

  test('is read once where it was read while the server was asked for it', async () => {
    const before = new Set(server['sessions']);
    proxy.delayMs = 300;
    proxy.cut();
    // The server has answered, and the answer is on its way.
    await until(() => [...server['sessions']].some((one) => !before.has(one) && one['gets'] !== undefined));
    expect(stream.read()).toBe('unread');
    await until(async () => (await other.stats()).getTotal === 1);
    await queue.close();
    expect(await other.stats()).toMatchObject({ qsize: 0, leased: 0, getTotal: 1 });
  });
});

test.each([
  ['gets of many', (queue: Queue) => queue.getMany(1)],
  ['gets', async (queue: Queue) => [await queue.get()]],
])("what arrives together is the program's, though it closes the handle with the first: %s", async (_name, get) => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  let closed: Promise<void> | undefined;
  const gets = [1, 2, 3].map(() => get(queue).finally(() => (closed ??= queue.close())));
  await until(async () => (await backing.stats()).waitingGetters! > 0);
  await backing.putMany(['a', 'b', 'c']);
  const got = (await Promise.allSettled(gets)).flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  await closed;
  expect([...got, ...(await backing.getMany(10, { block: false }).catch(() => []))]).toEqual(['a', 'b', 'c']);
});

test('a reader whose token may only get gives back what it has not read', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const tokens = [{ token: 'reader', rights: ['get'] as const }, { token: 'all' }];
  const { port, backing } = await fixture.serve({ tokens });
  const { proxy, port: through } = await fixture.proxy(port);
  await backing.putMany(['a', 'b', 'c']);
  const reader = fixture.client<string>(through, { credentials: { token: 'reader' } });
  const stream = reader.readable();
  stream.once('readable', () => {});
  await until(() => stream.readableLength > 0);
  proxy.cut();
  await until(async () => (await backing.stats()).leased! > 0);
  const closed = once(stream, 'close');
  stream.destroy();
  await closed;
  await reader.close();
  await until(async () => (await backing.qsize()) === 3);
  expect(await backing.getMany(10)).toEqual(['a', 'b', 'c']);
  expect(warned).not.toHaveBeenCalled();
});

test.each(['is up', 'was down', 'is down'])(
  'what lies in several streams comes again in order, and once: the connection %s',
  async (connection) => {
    const { port } = await fixture.serve();
    const { proxy, port: through } = await fixture.proxy(port);
    const [other, queue] = [fixture.client<string>(port), fixture.client<string>(through)];
    await other.putMany(['a', 'b', 'c', 'd', 'e']);
    const streams: Readable[] = [];
    for (let count = 0; count < 4; count++) {
      const stream = queue.readable();
      streams.push(stream);
      stream.once('readable', () => {}); // has one item fetched
      await until(() => stream.readableLength === 1);
    }
    if (connection !== 'is up') proxy.cut();
    if (connection === 'was down') await queue.qsize();
    await queue.close();
    await until(async () => (await other.qsize()) === 5);
    expect(await other.getMany(10)).toEqual(['a', 'b', 'c', 'd', 'e']);
  },
);
