/** Every call on a Ray queue ends in its time and says what happened, whatever the actor and the connection do. */
import net from 'node:net';
import { QueueDescriptor, type QueueError, resolveDescriptor } from '../../lib';
import type { Queue, ResolveOptions } from '../../lib';
import { RayClient } from '../../lib/ray';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods, Raised, silence } from './fake-ray';

const ANSWER_MS = 400;
/** What a loaded machine may add. */
const SLACK_MS = 1500;

let ray: FakeRay;
const open: Queue<unknown>[] = [];
let releaseAll: (() => void)[] = [];

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
});
afterEach(async () => {
  for (const release of releaseAll) release();
  releaseAll = [];
  await Promise.all(open.splice(0).map((queue) => queue.close()));
  await ray.stop();
});

function queueOn(options: ResolveOptions & { maxsize?: number } = {}): Queue<unknown> {
  const { maxsize, ...rest } = options;
  const descriptor = QueueDescriptor.createRayQueue('jobs', { address: ray.address, maxsize });
  const queue = resolveDescriptor(descriptor, { answerTimeoutMs: ANSWER_MS, ...rest });
  open.push(queue);
  return queue;
}

/** The error of a call, which has to come between the two. */
async function errorWithin(fromMs: number, toMs: number, call: () => Promise<unknown>): Promise<Error> {
  const started = performance.now();
  const error = await call().then(
    (value) => new Error(`no error, but ${String(value)}`),
    (caught: Error) => caught,
  );
  const took = performance.now() - started;
  expect({ took, error: String(error), inTime: took <= toMs + SLACK_MS && took >= fromMs - 50 }).toMatchObject({
    inTime: true,
  });
  return error;
}

/** The actor's methods all wait until they are let go. */
function gate(methods: Methods): () => void {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  releaseAll.push(release);
  for (const [name, method] of Object.entries(methods))
    methods[name] = async (args, kwargs) => (await released, method(args, kwargs));
  return release;
}

describe('an actor that Ray does not schedule', () => {
  beforeEach(() => {
    const methods = fakeQueueActor(0);
    for (const name of Object.keys(methods)) methods[name] = silence;
    ray.actors.set('jobs', methods);
  });

  test.each<[string, number, (queue: Queue<unknown>) => Promise<unknown>]>([
    ['put with timeoutMs', 300 + ANSWER_MS, (queue) => queue.put(1, { timeoutMs: 300 })],
    ['put with block: false', ANSWER_MS, (queue) => queue.put(1, { block: false })],
    ['putMany with timeoutMs', 300 + ANSWER_MS, (queue) => queue.putMany([1, 2], { timeoutMs: 300 })],
    ['get with timeoutMs', 300 + ANSWER_MS, (queue) => queue.get({ timeoutMs: 300 })],
    ['get with block: false', ANSWER_MS, (queue) => queue.get({ block: false })],
    ['getMany with timeoutMs', 300 + ANSWER_MS, (queue) => queue.getMany(5, { timeoutMs: 300 })],
    ['lease with timeoutMs', 300 + ANSWER_MS, (queue) => queue.lease({ timeoutMs: 300 })],
    ['join with timeoutMs', 300 + ANSWER_MS, (queue) => queue.join({ timeoutMs: 300 })],
    ['qsize', ANSWER_MS, (queue) => queue.qsize()],
    ['empty', ANSWER_MS, (queue) => queue.empty()],
    ['full', ANSWER_MS, (queue) => queue.full()],
    ['stats', ANSWER_MS, (queue) => queue.stats()],
    ['shutdown', ANSWER_MS, (queue) => queue.shutdown()],
  ])('%s', async (name, withinMs, call) => {
    const error = await errorWithin(withinMs, withinMs, () => call(queueOn()));
    expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
    expect(error.message).toMatch(
      new RegExp(`^${name.split(' ')[0]}: no answer from the actor within \\d+ ms\\.`.replace('empty', 'qsize')),
    );
    // Nothing was sent.
    expect((error as QueueError).outcome).toBeUndefined();
  });

  test('close, also while calls wait, which end with it', async () => {
    const queue = queueOn();
    const waiting = [queue.get(), queue.put(1), queue.join()].map((call) => call.catch((error: unknown) => error));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await errorWithin(0, ANSWER_MS, () => queue.close().then(() => Promise.reject(new Error('closed'))));
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  });
});

describe('an actor that is busy', () => {
  test('a put that was sent has an unknown outcome, those behind it were not sent; both are told in time', async () => {
    const queue = queueOn();
    await queue.put(0);
    const release = gate(ray.actors.get('jobs')!);
    const [first, second] = await Promise.all([
      errorWithin(300 + ANSWER_MS, 300 + ANSWER_MS, () => queue.put(1, { timeoutMs: 300 })),
      errorWithin(300 + ANSWER_MS, 400 + ANSWER_MS, async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return queue.put(2, { timeoutMs: 300 });
      }),
    ]);
    expect(first).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
    expect(second).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
    expect((second as QueueError).outcome).toBeUndefined();
    release();
    await queue.put(3);
    expect(await queue.getMany(10)).toEqual([0, 1, 3]);
  });

  test('a put with block: false', async () => {
    const queue = queueOn();
    await queue.put(0);
    gate(ray.actors.get('jobs')!);
    const error = await errorWithin(ANSWER_MS, ANSWER_MS, () => queue.put(1, { block: false }));
    expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  });

  test('a get says that it does not know; what comes for it later goes to the next one', async () => {
    const queue = queueOn();
    await queue.put('a');
    const release = gate(ray.actors.get('jobs')!);
    for (const call of [() => queue.get({ timeoutMs: 100 }), () => queue.get({ block: false })]) {
      const error = await errorWithin(0, 100 + ANSWER_MS, call);
      expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
    }
    release();
    expect(await queue.get()).toBe('a');
  });

  test('an abort', async () => {
    const queue = queueOn();
    await queue.put(0);
    gate(ray.actors.get('jobs')!);
    const reason = new Error('enough');
    const aborted = (): AbortSignal => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      return controller.signal;
    };
    expect(await errorWithin(0, 50 + ANSWER_MS, () => queue.put(1, { signal: aborted() }))).toBe(reason);
    expect(await errorWithin(0, 50, () => queue.get({ signal: aborted() }))).toBe(reason);
  });

  test('an acknowledgement and close', async () => {
    const queue = queueOn();
    await queue.put(0);
    const lease = await queue.lease();
    const release = gate(ray.actors.get('jobs')!);
    const error = await errorWithin(ANSWER_MS, ANSWER_MS, () => lease.ack());
    expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
    const put = queue.put(1).catch((caught: unknown) => caught);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await errorWithin(0, ANSWER_MS + 1000, () => queue.close().then(() => Promise.reject(new Error('closed'))));
    expect(await put).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
    release();
  });
});

describe('full and empty are what the actor says', () => {
  test('a put whose time is over is refused as full only by an actor that has no room', async () => {
    const queue = queueOn({ maxsize: 1 });
    await queue.put(0);
    expect(await errorWithin(100, 100, () => queue.put(1, { timeoutMs: 100 }))).toMatchObject({
      code: 'ERR_QUEUE_FULL',
    });
    expect(await errorWithin(0, 0, () => queue.put(1, { block: false }))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    await queue.get();
    expect(await errorWithin(100, 100, () => queue.get({ timeoutMs: 100 }))).toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
    expect(await errorWithin(0, 0, () => queue.get({ block: false }))).toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  });

  test('a put that waits behind a slow one is tried before it is refused', async () => {
    const queue = queueOn({ answerTimeoutMs: 5000 });
    await queue.put(0);
    const release = gate(ray.actors.get('jobs')!);
    const first = queue.put(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = queue.put(2, { timeoutMs: 100 });
    setTimeout(release, 300);
    await Promise.all([first, second]);
    expect(await queue.getMany(5)).toEqual([0, 1, 2]);
  });
});

describe('a connection that is cut', () => {
  test.each<[string, number, (queue: Queue<unknown>) => Promise<unknown>]>([
    ['put with timeoutMs', 300 + ANSWER_MS, (queue) => queue.put(1, { timeoutMs: 300 })],
    ['put with block: false', ANSWER_MS, (queue) => queue.put(1, { block: false })],
    ['get with timeoutMs', 300 + ANSWER_MS, (queue) => queue.get({ timeoutMs: 300 })],
    ['get with block: false', ANSWER_MS, (queue) => queue.get({ block: false })],
    ['qsize', ANSWER_MS, (queue) => queue.qsize()],
  ])('%s', async (_name, withinMs, call) => {
    const queue = queueOn();
    await queue.qsize();
    await ray.stop({ all: false });
    expect(await errorWithin(0, withinMs, () => call(queue))).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
    await errorWithin(0, ANSWER_MS + 1000, () => queue.close().then(() => Promise.reject(new Error('closed'))));
  });

  test('a put that was under way has an unknown outcome, and is in the queue once if it arrived', async () => {
    const queue = queueOn();
    await queue.put(0);
    const release = gate(ray.actors.get('jobs')!);
    const put = errorWithin(0, 600 + ANSWER_MS, () => queue.put(1, { timeoutMs: 600 }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await ray.stop({ all: false });
    release();
    expect(await put).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
    await ray.start();
    await queue.put(2);
    expect(await queue.getMany(5)).toEqual([0, 1, 2]);
  });

  test('close while the first connection is being made', async () => {
    const sockets: net.Socket[] = [];
    const deaf = net.createServer((socket) => sockets.push(socket.on('error', () => {})));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const { port } = deaf.address() as { port: number };
    const queue = resolveDescriptor(QueueDescriptor.createRayQueue('q', { address: `ray://127.0.0.1:${port}` }));
    const waiting = queue.get().catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await errorWithin(0, 0, () => queue.close().then(() => Promise.reject(new Error('closed'))));
    expect(await waiting).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => deaf.close(resolve));
  });
});

test('a head that starts no session is asked again after longer and longer: each attempt may cost it a process', async () => {
  ray.refused = 0;
  const connect = (): Promise<unknown> => RayClient.connect({ address: ray.address, connectTimeoutMs: 3000 });
  const error = await errorWithin(1000, 3000, connect);
  expect(error.message).toMatch(/did not start a session in \d attempts within 3000 ms: no process could be started/);
  // The shortest pauses are 0.1, 0.2, 0.4, 0.8 and 1 s.
  expect(ray.refused).toBeLessThanOrEqual(6);
  expect(ray.refused).toBeGreaterThan(1);
});

describe('a head that is started anew', () => {
  test('each handle is told once, then attaches anew', async () => {
    const queue = queueOn();
    await queue.put('old');
    await ray.stop();
    await ray.start();
    expect(await errorWithin(0, 5000, () => queue.put('lost'))).toMatchObject({
      name: 'RayActorDiedError',
      code: 'ERR_QUEUE_CONNECTION',
      message: expect.stringMatching(/^put: .*The next call of this handle attaches anew/),
    });
    await queue.put('new');
    expect(await queue.getMany(5)).toEqual(['new']);
  });

  test('another actor under the name is not taken for the old one', async () => {
    const queue = queueOn();
    await queue.put('old');
    await ray.stop();
    await ray.start();
    ray.actors.set('jobs', fakeQueueActor(0));
    expect(await errorWithin(0, 5000, () => queue.get())).toMatchObject({ name: 'RayActorDiedError' });
    await queue.put('new');
    expect(await queue.get()).toBe('new');
  });

  test('a put that waits on an unbounded queue is not told that it is full', async () => {
    const queue = queueOn();
    await queue.put(0);
    gate(ray.actors.get('jobs')!);
    const put = errorWithin(0, 1000 + ANSWER_MS, () => queue.put(1, { timeoutMs: 1000 }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await ray.stop();
    await ray.start();
    expect(await put).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  });
});

describe('an actor that restarts', () => {
  test('is not called dead, and its calls are made again', async () => {
    const queue = queueOn();
    await queue.put(0);
    const methods = ray.actors.get('jobs')!;
    const { sage_put: put } = methods;
    let failures = 2;
    methods.sage_put = (args, kwargs) => {
      if (failures-- > 0) throw new Raised('ray.exceptions', 'ActorUnavailableError', 'The actor is restarting.');
      return put!(args, kwargs);
    };
    await queue.put(1);
    expect(await queue.getMany(5)).toEqual([0, 1]);
  });

  test("somebody else's: the error says so, with an unknown outcome, and the next call works", async () => {
    const inner: unknown[] = [];
    const inspect = Object.fromEntries(
      ['put', 'get', 'empty', 'qsize', 'put_nowait', 'get_nowait'].map((name) => [name, [false, ['item']]]),
    );
    const answers: unknown[] = [inspect, null];
    let failures = 1;
    ray.actors.set('jobs', {
      __ray_call__: () => answers.shift(),
      qsize: () => inner.length,
      get_nowait: () => inner.shift(),
      put_nowait: ([item]) => {
        if (failures-- > 0) throw new Raised('ray.exceptions', 'ActorUnavailableError', 'The actor is restarting.');
        inner.push(item);
        return null;
      },
    });
    const queue = queueOn();
    expect(await errorWithin(0, 1000, () => queue.put(1))).toMatchObject({
      name: 'RayActorUnavailableError',
      outcome: 'unknown',
      message: expect.stringContaining('being started again'),
    });
    await queue.put(2);
    expect(await queue.get()).toBe(2);
    const { promises } = (await queue.stats()) as { promises?: unknown };
    expect(promises).toMatchObject({ totals: 'handle' });
  });
});

test("an exception in Python is told under the caller's method", async () => {
  const answers: unknown[] = [
    { put: [false, ['item']], get: [false, []], empty: [false, []], qsize: [false, []] },
    null,
  ];
  ray.actors.set('jobs', {
    __ray_call__: () => {
      if (answers.length > 0) return answers.shift();
      throw new Raised('builtins', 'KeyError', 'broken');
    },
    put: () => {
      throw new Raised('builtins', 'TypeError', 'not that');
    },
  });
  const queue = queueOn();
  await expect(queue.put(1)).rejects.toMatchObject({
    name: 'RayTaskError',
    code: 'ERR_RAY_TASK',
    pythonType: 'builtins.TypeError',
    message: "put: the actor 'jobs' failed in Python: builtins.TypeError: not that",
  });
  await expect(queue.getMany(2)).rejects.toMatchObject({
    message: "getMany: the actor 'jobs' failed in Python: builtins.KeyError: broken",
  });
});

test('a signal that fires in the turn of the call', async () => {
  const queue = queueOn();
  const aborted = async (call: (signal: AbortSignal) => Promise<unknown>): Promise<void> => {
    const controller = new AbortController();
    const reason = new Error('left');
    const called = errorWithin(0, 100, () => call(controller.signal));
    controller.abort(reason);
    expect(await called).toBe(reason);
  };
  await queue.qsize();
  await aborted((signal) => queue.get({ signal }));
  await queue.put(1);
  await aborted((signal) => queue.join({ signal }));
});

test('a call whose session is lost while it is under way', async () => {
  const client = new RayClient({ address: ray.address, graceMs: 300 });
  ray.actors.set('slow', { work: silence });
  const actor = await client.getActor('slow');
  const call = errorWithin(0, 1500, () => client.call(actor!, 'work'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await ray.stop();
  expect(await call).toMatchObject({ name: 'RaySessionLostError', code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  await client.close();
});

test('an item over 256 MiB', async () => {
  const queue = queueOn();
  await expect(queue.put(new Uint8Array(256 * 1024 * 1024))).rejects.toMatchObject({
    name: 'ItemTooLargeError',
    code: 'ERR_ITEM_TOO_LARGE',
  });
  expect(await queue.qsize()).toBe(0);
});
