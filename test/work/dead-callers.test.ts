/** Callers and servers that are killed, and whoever holds their replies: nothing of them is left. */
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listSegments, QueueDescriptor, resolveDescriptor } from '../../lib';
import type { NativeQueue, Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { caller, serve } from '../../lib/work';
import { attach, describeQueue, freshName, run, SHM, start, types, until } from '../shm/child';

/** Says that it is there, calls when it is told to and says what came. */
const CALLER = `
const { caller } = require('sage-queue/work');
(async () => {
  const one = caller(open());
  if (given[0]) await one.call(1);
  say('idle');
  process.stdin.once('data', async () => say(await one.call(2)));
})();
`;

const repliesOf = ({ queueId, metadata }: QueueDescriptor): string[] =>
  listSegments()
    .map(({ name }) => name)
    .filter((name) => name.startsWith(`${metadata.shm_name ?? queueId}.reply.`));

test.each(types)('%s: nothing is left of callers that died idle, nor of those that never called', async (type) => {
  const descriptor = describeQueue(type);
  const other = describeQueue(type);
  const queue = attach(descriptor);
  const beside = attach(other);
  const [living, quiet, answered, foreign] = [
    start(CALLER, descriptor, [true]),
    start(CALLER, descriptor, [false]),
    start(CALLER, descriptor, [true]),
    start(CALLER, other, [false]),
  ];
  const server = serve(queue, (n) => n);
  try {
    for (const one of [living, quiet, answered, foreign]) expect(await one.next()).toBe('idle');
    await until('the server has let go of the replies of those that are idle', () =>
      listSegments().every(
        ({ name, attached }) => !name.includes('.reply.') || attached.every(({ pid }) => pid !== process.pid),
      ),
    );
    expect(repliesOf(descriptor)).toHaveLength(3);
    await Promise.all([quiet.kill(), answered.kill(), foreign.kill()]);
    await until('those of the dead are gone', () => repliesOf(descriptor).length === 1);
    living.tell('call');
    expect(await living.next()).toBe(2);
    await living.kill();
    await until('nothing is left', () => repliesOf(descriptor).length === 0);
    // They are for a server of that queue to clear away.
    expect(repliesOf(other)).toHaveLength(1);
    await serve(beside, (n) => n).stop();
    expect(repliesOf(other)).toEqual([]);
  } finally {
    await server.stop();
    for (const each of [queue, beside]) {
      each.unlinkSync();
      each.closeSync();
    }
  }
});

const SERVER = `
const { serve } = require('sage-queue/work');
serve(open(), (n) => n);
say('serves');
`;

describe.each([
  ...types.map((type) => [type, (): QueueDescriptor => describeQueue(type)] as const),
  ['auto', (): QueueDescriptor => QueueDescriptor.createAutoQueue(freshName())] as const,
  [
    'a queue whose replies have files with shortened names',
    (): QueueDescriptor => QueueDescriptor.createSageQueue(freshName().padEnd(200, 'x')),
  ] as const,
])('%s', (_type, describeIt) => {
  let descriptor: QueueDescriptor;
  let queue: NativeQueue;

  beforeEach(() => {
    descriptor = describeIt();
    queue = resolveDescriptor(descriptor) as NativeQueue;
  });

  afterEach(() => {
    queue.unlinkSync();
    queue.closeSync();
  });

  test('a caller that has closed leaves nothing to a server that is killed before it lets go', async () => {
    const server = start(SERVER, descriptor);
    expect(await server.next()).toBe('serves');
    const asking = caller<number, number>(queue);
    expect(await asking.call(1)).toBe(1);
    // It has answered, and stays attached until it looks the second time.
    server.signal('SIGSTOP');
    await asking.close();
    await server.kill();
    expect(repliesOf(descriptor)).toEqual([]);
  });

  test('what a caller and its server leave that are killed together is cleared away by the next caller', async () => {
    const server = start(SERVER, descriptor);
    expect(await server.next()).toBe('serves');
    const dead = start(CALLER, descriptor, [true]);
    expect(await dead.next()).toBe('idle');
    server.signal('SIGSTOP');
    await Promise.all([dead.kill(), server.kill()]);
    expect(repliesOf(descriptor)).toHaveLength(1);
    const [left] = repliesOf(descriptor);
    const next = caller(queue);
    expect(repliesOf(descriptor)).toHaveLength(1);
    expect(repliesOf(descriptor)).not.toContain(left);
    await next.close();
    expect(repliesOf(descriptor)).toEqual([]);
  });
});

const strace = ['/usr/bin/strace', '/usr/local/bin/strace'].find(existsSync);
test.each(types)(
  '%s: callers look once through any number of handles, and at no segment of another queue',
  async (type) => {
    if (strace === undefined) {
      if (process.env.CI === 'true') throw new Error('CI needs strace, to count what callers open');
      console.warn('strace is not installed: what callers open was not counted');
      return;
    }
    const file = join(tmpdir(), freshName());
    const descriptor = describeQueue(type);
    const others = [describeQueue(type), describeQueue(type)];
    const queues = [descriptor, ...others].map((each) => attach(each));
    try {
      await run(
        `
      const { caller } = require('sage-queue/work');
      (async () => {
        for (let times = 0; times < 3; times++) {
          const queue = open();
          await caller(queue).close();
          await queue.close();
        }
      })();`,
        descriptor,
        [],
        { wrapper: [strace, '-y', '-e', 'trace=openat,getdents64', '-o', file] },
      );
      const calls = readFileSync(file, 'utf8').split('\n');
      const opened = ({ queueId, metadata }: QueueDescriptor): string[] =>
        calls.filter((line) => line.includes('openat(') && line.includes(`${metadata.shm_name ?? queueId}"`));
      expect(opened(descriptor).length).toBeGreaterThan(0);
      for (const other of others) expect(opened(other)).toEqual([]);
      // The end of a listing of the directory.
      expect(
        calls.filter(
          (line) => line.includes('getdents64(') && / = 0$/.test(line) && line.includes(`<${realpathSync(SHM)}>`),
        ),
      ).toHaveLength(1);
    } finally {
      rmSync(file, { force: true });
      for (const queue of queues) {
        queue.unlinkSync();
        queue.closeSync();
      }
    }
  },
);

test('a caller without a call whose server is not there ends nobody, and closes', async () => {
  const program = `
    const { caller } = require('sage-queue/work');
    const queue = open();
    const asking = caller(queue);
    asking.close().then(() => queue.close()).then(() => say('closed'));
  `;
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address() as AddressInfo;
  nobody.close();
  await once(nobody, 'close');
  expect(await run(program, QueueDescriptor.createRpcQueue('127.0.0.1', port, 'jobs'))).toEqual(['closed']);
});

test('what a QueueServer leaves that is killed is cleared away by the next one, when it makes replies for somebody', async () => {
  const descriptor = describeQueue('sage_queue');
  const queue = attach(descriptor);
  const doomed = start(
    `
    const { QueueServer } = require('sage-queue/rpc');
    new QueueServer({ queues: { jobs: open() } }).start().then(({ port }) => say(port));
    `,
    descriptor,
  );
  const lost = resolveDescriptor(
    QueueDescriptor.createRpcQueue('127.0.0.1', (await doomed.next()) as number, 'jobs'),
  ) as Queue;
  const first = caller(lost);
  await until('its replies are there', () => repliesOf(descriptor).length > 0);
  await doomed.kill();
  await first.close();
  await lost.close();
  const [left] = repliesOf(descriptor);
  expect(left).toBeDefined();
  const server = new QueueServer({ queues: { jobs: queue } });
  const { port } = await server.start();
  const client = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'jobs')) as Queue;
  const asking = caller(client);
  try {
    await until('the next one has made replies, and the others are gone', () => {
      const replies = repliesOf(descriptor);
      return replies.length === 1 && replies[0] !== left;
    });
  } finally {
    await asking.close();
    await client.close();
    await server.stop({ graceMs: 0 });
    queue.unlinkSync();
    queue.closeSync();
  }
});
