/** What a handle of a remote queue has for nobody is in the queue once the handle is closed, or it is said that it is lost. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue, SageQueue } from '../../lib';
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
  const server = new QueueServer({ queues: { work: backing } });
  const { port } = await server.start();
  fixture.later(() => server.stop({ graceMs: 200 }));
  await backing.putMany([{ id: 1 }, { id: 2 }]);
  const said = await run(
    `const queue = open();
    (async () => {
      try { ${take}; } catch ({ message }) { say(message); }
      await queue.close();
    })();`,
    QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work'),
  );
  expect(said).toEqual([expect.stringMatching(/It is still in the queue/)]);
  await server.stop({ graceMs: 200 });
  expect(await backing.getMany(10)).toEqual(expect.arrayContaining([{ id: 1 }, { id: 2 }]));
});

describe('an item in a stream', () => {
  let server: QueueServer;
  /** What lies in front of the queue behind the server counts, too. */
  let other: Queue<string>;
  let proxy: CuttingProxy;
  let queue: Queue<string>;
  let stream: Readable;
  let warned: jest.SpyInstance;

  beforeEach(async () => {
    warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const served = await fixture.serve();
    ({ server } = served);
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

  test('waits for a server that is to come, and not for ever: then it is said that it is lost', async () => {
    proxy.cut();
    await Promise.all([server.stop({ graceMs: 0 }), proxy.stop()]);
    stream.destroy();
    await errorOf(queue.get({ timeoutMs: 50 }));
    await queue.close();
    expect(warned).toHaveBeenCalledWith(expect.stringMatching(/^An item of the queue 'q' could not be put back: /));
  });
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
