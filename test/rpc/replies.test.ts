/** Replies to callers beyond the network: a queue that the server makes for the caller, beside the one it offers, and drops with it. */
import { randomBytes } from 'node:crypto';
import { listSegments, QueueDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { ClientStates } from '../../lib/server/client-state';
import { ReplyQueues } from '../../lib/server/reply-queues';
import { ServedQueue } from '../../lib/server/served-queue';
import { caller, serve } from '../../lib/work';
import type { Consumer } from '../../lib/work';
import { attach, describeQueue, start } from '../shm/child';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const token = (): string => randomBytes(16).toString('hex');
const replyId = (requests = 'q', of = token()): string => `${requests}.reply.${of}`;
const replySegments = (): string[] =>
  listSegments()
    .map(({ name }) => name)
    .filter((name) => name.startsWith('replies.') && name.includes('.reply.'));

function doubling(queue: Queue): Consumer {
  const server = serve<number, number>(queue, (n) => n * 2, { concurrency: 8 });
  fixture.later(() => server.stop({ graceMs: 0 }));
  return server;
}

async function sageBehind(options: ConstructorParameters<typeof QueueServer>[0] = {}): Promise<{
  descriptor: QueueDescriptor;
  server: QueueServer;
  port: number;
}> {
  const descriptor = describeQueue('sage_queue');
  const { server, port } = await fixture.serve({ queues: { q: descriptor }, ...options });
  const owner = attach(descriptor);
  fixture.later(async () => {
    owner.unlinkSync();
    owner.closeSync();
  });
  return { descriptor, server, port };
}

test('caller and server beyond the network, or beside the queue: whoever asks and whoever answers', async () => {
  const { descriptor, port } = await sageBehind();
  const sides = { remote: () => fixture.client(port), beside: () => attach(descriptor) as Queue };
  for (const answering of Object.values(sides)) {
    const queue = answering();
    const server = doubling(queue);
    for (const asking of Object.values(sides)) {
      const requests = asking();
      const one = caller<number, number>(requests);
      expect(await Promise.all([1, 2, 3].map((n) => one.call(n)))).toEqual([2, 4, 6]);
      await one.close();
      await requests.close();
    }
    await server.stop();
    await queue.close();
  }
  await until(() => replySegments().length === 0);
});

test('a caller that pauses keeps its reply queue, whatever those beside the queue make of its process', async () => {
  const { descriptor, port } = await sageBehind();
  const beside = attach(descriptor) as Queue;
  doubling(beside);
  const one = caller<number, number>(fixture.client(port));
  fixture.later(() => one.close());
  expect(await one.call(1)).toBe(2);
  // The server beside the queue lets go of what it has not used for two seconds.
  await new Promise((resolve) => setTimeout(resolve, 3500));
  expect(await one.call(2, { timeoutMs: 5000 })).toBe(4);
  await beside.close();
});

test('a killed caller leaves nothing', async () => {
  const { port, descriptor } = await sageBehind({ reattachMs: 200 });
  const beside = attach(descriptor) as Queue;
  doubling(beside);
  doubling(fixture.client(port));
  const asking = start(
    `const { caller } = require('sage-queue/work');
     const one = caller(open());
     one.call(7).then((reply) => { say(reply); setInterval(() => one.call(1), 1); });`,
    QueueDescriptor.createRpcQueue('127.0.0.1', port, 'q'),
  );
  expect(await asking.next()).toBe(14);
  expect(replySegments()).toHaveLength(1);
  await asking.kill();
  await until(() => replySegments().length === 0, 10_000);
  await beside.close();
});

test('calls outlive a cut; after a longer one they reject, and the next ones are answered', async () => {
  const { port: direct } = await sageBehind({ reattachMs: 2000 });
  const { proxy, port } = await fixture.proxy(direct);
  let [finish, began] = [(): void => {}, 0];
  const server = serve(fixture.client(direct), async (n: number) => {
    began++;
    if (n === 0) await new Promise<void>((resolve) => (finish = resolve));
    return n;
  });
  fixture.later(() => server.stop({ graceMs: 0 }));
  const one = caller<number, number>(fixture.client(port));
  fixture.later(() => one.close());
  expect(await one.call(1)).toBe(1);
  const through = one.call(0);
  await until(() => began === 2);
  proxy.cut();
  finish();
  expect(await through).toBe(0);

  const lost = errorOf(one.call(0));
  await until(() => began === 3);
  proxy.refusing = true;
  proxy.cut();
  await until(() => replySegments().length === 0, 15_000);
  proxy.refusing = false;
  expect((await lost).message).toContain('has dropped them');
  finish();
  expect(await one.call(2, { timeoutMs: 10_000 })).toBe(2);
});

test('the end of work is asked for no longer once the replies are dropped: it would keep a process', async () => {
  const { port: direct } = await sageBehind({ reattachMs: 200 });
  const { proxy, port } = await fixture.proxy(direct);
  const server = serve(fixture.client(direct), (n: number) => (n === 0 ? new Promise<number>(() => {}) : n), {
    concurrency: 2,
  });
  fixture.later(() => server.stop({ graceMs: 0 }));
  const requests = fixture.client(port);
  const one = caller<number, number>(requests);
  fixture.later(() => one.close());
  expect(await one.call(1)).toBe(1);
  const asked = jest.spyOn(requests, 'join');
  const lost = errorOf(one.call(0));
  await until(() => asked.mock.calls.length === 1);
  proxy.refusing = true;
  proxy.cut();
  await until(() => replySegments().length === 0, 15_000);
  proxy.refusing = false;
  expect((await lost).message).toContain('has dropped them');
  expect(asked.mock.calls[0]![0]!.signal!.aborted).toBe(true);
  await expect(asked.mock.results[0]!.value).rejects.toThrow();
});

describe('a hostile client', () => {
  const open = (port: number, queueId: string, create: 'exclusive' | 'never' = 'never', credentials = {}): Queue =>
    fixture.client(port, { queueId, create, credentials });
  const codeOf = async (queue: Queue): Promise<string | undefined> => (await errorOf(queue.qsize())).code;

  test('finds no reply queue that nobody has made, and none beside what is not offered', async () => {
    const { port } = await sageBehind();
    expect(await codeOf(open(port, replyId()))).toBe('ERR_QUEUE_NOT_FOUND');
    for (const queueId of [
      replyId('other'),
      replyId(replyId()),
      replyId('../q'),
      `q.reply.${'A'.repeat(32)}`,
      `q.reply.${token()}x`,
      'q.reply.',
      '.reply.q',
    ])
      for (const create of ['never', 'exclusive'] as const)
        expect([queueId, await codeOf(open(port, queueId, create))]).toEqual([queueId, 'ERR_QUEUE_NOT_FOUND']);
    expect(replySegments()).toEqual([]);
  });

  test('cannot take over the reply queue of another client', async () => {
    const { port } = await sageBehind();
    const id = replyId();
    const made = open(port, id, 'exclusive');
    await made.put('for its maker');
    expect(await codeOf(open(port, id, 'exclusive'))).toBe('ERR_QUEUE_EXISTS');
    // Who knows the name may use it, and its end changes nothing.
    const other = open(port, id);
    expect(await other.qsize()).toBe(1);
    await other.close();
    expect(await made.get()).toBe('for its maker');
    await made.close();
    await until(() => replySegments().length === 0);
    expect(await codeOf(open(port, id))).toBe('ERR_QUEUE_NOT_FOUND');
  });

  test('makes none beside a queue that its token does not open; calling takes the right to put, answering that to get', async () => {
    const tokens = [
      { token: 'asks', queues: ['q'], rights: ['put'] as const },
      { token: 'answers', queues: ['q'], rights: ['get'] as const },
      { token: 'elsewhere', queues: ['r'] },
    ];
    const { port } = await sageBehind({ tokens });
    doubling(open(port, 'q', 'never', { token: 'answers' }));
    const one = caller<number, number>(open(port, 'q', 'never', { token: 'asks' }));
    expect(await one.call(4)).toBe(8);
    await one.close();
    const refused = errorOf(open(port, replyId(), 'exclusive', { token: 'elsewhere' }).qsize());
    expect((await refused).message).toContain("the token may not use the queue 'q.reply.");
  });

  test('makes no more of them than the server has room for', async () => {
    const descriptor = QueueDescriptor.createLocalQueue('offered');
    const replies = new ReplyQueues(
      1000,
      () => ({ descriptor }),
      () => {},
    );
    const opener = { client: 'c', exclusive: true };
    const make = async (): Promise<ServedQueue> => {
      const id = replyId('offered');
      const { queue, maker } = await replies.resolve(id, opener);
      const served = new ServedQueue(id, queue, true, new ClientStates(1000, 10, 1000));
      replies.made(served, maker);
      replies.opened(served, opener);
      return served;
    };
    const made: ServedQueue[] = [];
    for (let index = 0; index < 1000; index++) made.push(await make());
    expect((await errorOf(make())).message).toContain('1000 reply queues');
    replies.ended(made[0]!, { client: 'c', saidGoodbye: true });
    await make();
    await replies.dropAll();
  });
});

test('a queue without a descriptor has replies, too', async () => {
  const items: unknown[] = [];
  const { port } = await fixture.serve({
    queues: {
      q: {
        put: (item: unknown) => void items.push(item),
        get: () => items.shift(),
        empty: () => items.length === 0,
        qsize: () => items.length,
      },
    },
  });
  expect(await fixture.client(port, { queueId: replyId(), create: 'exclusive' }).qsize()).toBe(0);
});
