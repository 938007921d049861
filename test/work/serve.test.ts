/** Request and reply. */
import { randomBytes } from 'node:crypto';
import { listSegments, QueueDescriptor, RemoteError, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { replyDescriptor } from '../../lib/descriptor/reply-descriptor';
import { QueueServer } from '../../lib/rpc';
import { caller, serve } from '../../lib/work';
import type { Caller, CallerOptions } from '../../lib/work';
import { later, never, queueTypes, track, until } from './queues';

const types = Object.entries(queueTypes).filter(([type]) => !['stub', 'four methods'].includes(type));

function calling<Req, Res>(queue: Queue, options?: CallerOptions): Caller<Req, Res> {
  const one = caller<Req, Res>(queue, options);
  later(() => one.close());
  return one;
}

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`expected an error, found ${String(value)}`);
    },
    (error: unknown) => error,
  );

describe.each(types)('%s', (type, make) => {
  test('a call resolves to what the handler returns', async () => {
    const queue = await make();
    track(serve<number, number>(queue, async (n) => n * 2, { concurrency: 4 }));
    const doubling = calling<number, number>(queue);
    expect(await Promise.all([1, 2, 3].map((n) => doubling.call(n)))).toEqual([2, 4, 6]);
    // Python has no undefined: it arrives as null.
    expect(await calling<undefined, unknown>(queue).call(undefined)).toBe(type === 'ray_queue' ? 0 : NaN);
  });

  test('what the handler throws is the RemoteError of the caller', async () => {
    const queue = await make();
    track(
      serve(queue, () => {
        throw new RangeError('too far', { cause: new TypeError('inner', { cause: { code: 7 } }) });
      }),
    );
    const error = (await errorOf(calling(queue).call(1))) as RemoteError;
    expect(error).toBeInstanceOf(RemoteError);
    expect(error).toMatchObject({ code: 'ERR_REMOTE', name: 'RangeError', message: 'too far' });
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'inner', cause: { code: 7 } });
    expect(error.remoteStack).toContain('serve.test');
  });

  test('a cause that cannot be sent arrives in words; something thrown that is no error, too', async () => {
    const queue = await make();
    track(
      serve<string, never>(queue, (kind) => {
        if (kind === 'cause') throw new Error('with a function', { cause: () => 1 });
        throw 'a string';
      }),
    );
    const asking = calling<string, never>(queue);
    expect(await errorOf(asking.call('cause'))).toMatchObject({ message: 'with a function' });
    expect(await errorOf(asking.call('string'))).toMatchObject({ code: 'ERR_REMOTE', message: 'a string' });
  });

  test('nobody serves, or the handler hangs: QueueTimeoutError; a request that came too late is skipped', async () => {
    const queue = await make();
    const asking = calling<string, string>(queue, { timeoutMs: 30 });
    expect(await errorOf(asking.call('nobody'))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
    const served: string[] = [];
    track(
      serve<string, string>(
        queue,
        (request) => {
          served.push(request);
          return request === 'hangs' ? never() : request;
        },
        { concurrency: 2 },
      ),
    );
    // Over a network the first reply takes a stream of its own.
    expect(await asking.call('first', { timeoutMs: 10_000 })).toBe('first');
    expect(await errorOf(asking.call('hangs', { timeoutMs: 1000 }))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
    expect(await asking.call('in time', { timeoutMs: 10_000 })).toBe('in time');
    expect(served).toEqual(['first', 'hangs', 'in time']);
  });

  test('the timeout of the handler is told to the caller', async () => {
    const queue = await make();
    track(serve(queue, never, { timeoutMs: 20 }));
    expect(await errorOf(calling(queue).call(1))).toMatchObject({ code: 'ERR_REMOTE', name: 'QueueTimeoutError' });
  });

  test('an abort ends a call with its reason; a closed caller ends all of them', async () => {
    const queue = await make();
    track(serve(queue, never, { concurrency: 8 }));
    const asking = calling(queue);
    const leaving = new AbortController();
    const aborted = errorOf(asking.call(1, { signal: leaving.signal }));
    leaving.abort('enough');
    expect(await aborted).toBe('enough');
    const closed = errorOf(asking.call(2));
    await asking.close();
    expect(await closed).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    expect(await errorOf(asking.call(3))).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  });

  test('a request of a caller that is gone is skipped', async () => {
    const queue = await make();
    const gone = caller(queue);
    gone.call('from the dead').catch(() => {});
    await until('it is put', async () => (await queue.qsize()) === 1);
    await gone.close();
    const served: unknown[] = [];
    const server = track(serve(queue, (request) => void served.push(request)));
    await calling(queue).call('from the living');
    expect(served).toEqual(['from the living']);
    await until('both are done', () => server.stats().done === 2);
  });

  test('thousands of calls at a time', async () => {
    const queue = await make();
    track(serve<number, number>(queue, async (n) => n + 1, { concurrency: 64 }));
    const adding = calling<number, number>(queue);
    const numbers = Array.from({ length: type.startsWith('rpc') ? 2000 : 10_000 }, (_, index) => index);
    expect(await Promise.all(numbers.map((n) => adding.call(n)))).toEqual(numbers.map((n) => n + 1));
  });

  test('what is no request is reported, and hurts nobody', async () => {
    const queue = await make();
    await queue.put({ not: 'a request' });
    const errors: unknown[] = [];
    track(serve<number, number>(queue, (n) => n, { onError: (error) => errors.push(error) }));
    expect(await calling<number, number>(queue).call(7)).toBe(7);
    expect(errors).toEqual([expect.any(TypeError)]);
  });

  test('nothing of a caller is left once it has closed', async () => {
    const queue = await make();
    track(serve<number, number>(queue, (n) => n));
    const asking = calling<number, number>(queue);
    await asking.call(1);
    await asking.close();
    if (type.endsWith('local')) return;
    const own = `work.${process.pid}.`;
    await until('its segment is gone', () =>
      listSegments().every(({ queueId }) => !(queueId.startsWith(own) && queueId.includes('.reply.'))),
    );
  });
});

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
