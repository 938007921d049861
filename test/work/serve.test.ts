/** Request and reply. */
import { randomBytes } from 'node:crypto';
import { listSegments, QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { replyDescriptor } from '../../lib/descriptor/reply-descriptor';
import { QueueServer } from '../../lib/rpc';
import { caller, serve } from '../../lib/work';
import { queueTypes, track } from './queues';
import { calling, describeServe, errorOf } from './serve-contract';

const { stub: _stub, 'four methods': _fourMethods, ...types } = queueTypes;

describeServe(types, (type) => (type.startsWith('rpc') ? 2000 : 10_000));

test('a reply that cannot be sent is the error of the caller', async () => {
  const queue = await queueTypes.sage_queue!();
  track(
    serve<string, unknown>(queue, (kind) =>
      kind === 'large' ? Buffer.alloc(100_000) : kind === 'function' ? () => 1 : 1,
    ),
  );
  const asking = calling<string, unknown>(queue, { capacityBytes: 65_536 });
  expect(await errorOf(asking.call('large'))).toMatchObject({ code: 'ERR_ITEM_TOO_LARGE' });
  expect(await errorOf(asking.call('function'))).toMatchObject({ code: 'ERR_ITEM_SERIALIZATION' });
  expect(await asking.call('small')).toBe(1);
});

test.each(['local', 'sage_queue'] as const)('replies come back over rpc, before %s', async (type) => {
  const describeQueue = (id: string): QueueDescriptor =>
    type === 'local' ? QueueDescriptor.createLocalQueue(id) : QueueDescriptor.createSageQueue(id);
  const server = new QueueServer({ queues: describeQueue });
  const { port } = await server.start();
  const id = `serve.test.${process.pid}.${type}`;
  const attach = (): Queue => resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, id)) as Queue;
  const [asks, answers, beside] = [attach(), attach(), resolveDescriptor(describeQueue(id)) as Queue];
  const asking = caller<number, number>(asks);
  const handler = (n: number): number => {
    if (n === 13) throw new RangeError('unlucky');
    return n * 2;
  };
  // One server beyond the network, one beside the queue itself.
  const servers = [serve(answers, handler), serve(beside, handler)];
  const numbers = Array.from({ length: 40 }, (_, index) => index);
  const replies = await Promise.allSettled(numbers.map((n) => asking.call(n)));
  expect(
    replies.map((reply) => (reply.status === 'fulfilled' ? reply.value : (reply.reason as Error).message)),
  ).toEqual(numbers.map((n) => (n === 13 ? 'unlucky' : n * 2)));
  await asking.close();
  await Promise.all(servers.map((one) => one.stop()));
  await Promise.all([asks, answers, beside].map((queue) => queue.close()));
  await server.stop({ graceMs: 500 });
  expect(listSegments().filter(({ name }) => name.startsWith(id))).toEqual([]);
});

/** What this process is attached to: other test files have segments meanwhile. */
const openHere = (): string[] =>
  listSegments()
    .filter(({ attached }) => attached.some(({ pid }) => pid === process.pid))
    .map(({ name }) => name);

describe('a hostile request', () => {
  const hostile = (token: unknown): unknown[] => [
    'sage-queue:request',
    1,
    1,
    token,
    process.pid,
    Date.now(),
    null,
    'do it',
  ];

  test('makes a server write nowhere, and run nothing', async () => {
    const queue = await queueTypes.sage_queue!();
    const victim = await queueTypes.sage_queue!();
    const { queueId } = victim.descriptor;
    const served: unknown[] = [];
    const errors: unknown[] = [];
    track(serve(queue, (request) => served.push(request), { onError: (error) => errors.push(error) }));
    const before = openHere();
    const tokens: unknown[] = [
      queueId,
      `../${queueId}`,
      `x.reply.${queueId}`,
      { queue_id: queueId, queue_type: 'sage_queue', metadata: {} },
      victim.descriptor.toJSON(),
      null,
      '',
      '\0',
      randomBytes(16).toString('hex'),
      randomBytes(16).toString('hex').toUpperCase(),
      `${randomBytes(16).toString('hex')}\n`,
    ];
    for (const token of tokens) await queue.put(hostile(token));
    await calling(queue).call('last');
    expect(served).toEqual(['last']);
    expect(await victim.qsize()).toBe(0);
    // All but the one that looks like a token, whose queue is not there.
    expect(errors).toHaveLength(tokens.length - 1);
    // Where the last call is answered.
    expect(openHere().length).toBeLessThanOrEqual(before.length + 1);
  });

  test('cannot name a queue of another namespace, owner or type by a token', async () => {
    const queue = await queueTypes.sage_queue!();
    const token = randomBytes(16).toString('hex');
    const { metadata } = replyDescriptor(queue.descriptor, token);
    const keys = ['namespace', 'owner_uid', 'enable_multi_tenant'] as const;
    for (const key of keys) expect(metadata[key]).toEqual(queue.descriptor.metadata[key]);
    // The same name and token in a namespace of its own: the server does not see it.
    const other = resolveDescriptor(elsewhere(queue, token)) as Queue;
    const served: unknown[] = [];
    track(serve(queue, (request) => served.push(request)));
    await queue.put(hostile(token));
    await calling(queue).call('last');
    expect(served).toEqual(['last']);
    expect(await other.qsize()).toBe(0);
    await other.shutdown({ immediate: true });
    await other.close();
  });
});

function elsewhere(queue: Queue, token: string): QueueDescriptor {
  const { queueId, queueType, metadata } = replyDescriptor(queue.descriptor, token);
  return new QueueDescriptor({ queueId, queueType, metadata: { ...metadata, namespace: `other.${process.pid}` } });
}
