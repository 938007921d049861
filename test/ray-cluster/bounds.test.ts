/** What test/ray/bounds.test.ts asks of a fake server, asked of a real cluster: every call ends in its time and says what happened. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import type { Queue } from '../../lib/queue/types';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { freshName, killActors, rayAddress } from './cluster';
import { CuttingProxy } from './cutting-proxy';

const namespace = freshName('bounds');
const holder = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
const names: string[] = [];
const open: Queue<unknown>[] = [];
/** Ends of clusters of a test's own. */
const clusters: (() => Promise<void>)[] = [];
/** What answerTimeoutMs is by default. */
const ANSWER_MS = 3000;
const SLACK_MS = 1500;

function named(prefix: string): string {
  const name = freshName(prefix);
  names.push(name);
  return name;
}

function actorQueue(name: string): Queue<unknown> {
  const descriptor = QueueDescriptor.createRayActorQueue(undefined, name, { address: rayAddress(), namespace });
  open.push(resolveDescriptor(descriptor));
  return open.at(-1)!;
}

function rayQueue(queueId: string, address = rayAddress()): Queue<unknown> {
  open.push(resolveDescriptor(QueueDescriptor.createRayQueue(queueId, { address, namespace })));
  return open.at(-1)!;
}

beforeAll(() => holder.listNamedActors());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  await killActors(holder, names.splice(0));
  await Promise.all(clusters.splice(0).map((stop) => stop()));
});
afterAll(() => holder.close());

async function within<V>(
  ms: number,
  call: () => Promise<V>,
): Promise<{ error?: Error & { outcome?: string }; value?: V }> {
  const started = performance.now();
  const outcome = await call().then(
    (value) => ({ value }),
    (error: Error) => ({ error }),
  );
  expect(performance.now() - started).toBeLessThan(ms + SLACK_MS);
  return outcome;
}

/** Python's `queue.Queue` in an actor with one thread, which can be kept busy and killed. */
const ONE_THREAD = {
  name: 'OneThread',
  source: `
import collections, os, time
class OneThread:
    def __init__(self, seconds=0):
        time.sleep(seconds)
        self.items = collections.deque()
    def put(self, item): self.items.append(item)
    def get(self): return self.items.popleft()
    def empty(self): return not self.items
    def qsize(self): return len(self.items)
    def sleep(self, seconds): time.sleep(seconds)
    def die(self): os._exit(1)
`,
};

test('an actor that asks for more CPUs than there are', async () => {
  const name = named('huge');
  await holder.createActor(ONE_THREAD, [], {}, { name, numCpus: 99 });
  const queue = actorQueue(name);
  expect(await within(2000 + ANSWER_MS, () => queue.put(1, { timeoutMs: 2000 }))).toMatchObject({
    error: {
      code: 'ERR_QUEUE_CONNECTION',
      message: expect.stringMatching(/^put: no answer from the actor.*no place to run it/),
    },
  });
  expect(await within(ANSWER_MS, () => queue.get({ block: false }))).toMatchObject({
    error: { code: 'ERR_QUEUE_CONNECTION' },
  });
  expect(await within(ANSWER_MS, () => queue.qsize())).toMatchObject({ error: { code: 'ERR_QUEUE_CONNECTION' } });
  expect((await within(ANSWER_MS + 1000, () => queue.close())).error).toBeUndefined();
});

test('a busy actor with one thread', async () => {
  const name = named('busy');
  const actor = await holder.createActor(ONE_THREAD, [], {}, { name, maxConcurrency: 1 });
  const queue = actorQueue(name);
  await queue.put(0);
  const busy = holder.call(actor, 'sleep', [9]);
  const [first, second] = await Promise.all([
    within(1000 + ANSWER_MS, () => queue.put(1, { timeoutMs: 1000 })),
    within(2000 + ANSWER_MS, () => queue.put(2, { timeoutMs: 2000 })),
  ]);
  expect(first.error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  expect(second.error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
  expect(second.error!.outcome).toBeUndefined();
  await busy;
  await queue.put(3);
  expect(await queue.getMany(5)).toEqual([0, 1, 3]);
}, 90_000);

test('a link that is cut for 20 s', async () => {
  const proxy = await new CuttingProxy(rayAddress()).start();
  const queue = rayQueue(named('q'), proxy.address);
  await queue.put(0);
  proxy.refuse(true);
  const back = delay(20_000).then(() => proxy.refuse(false));
  const [waiting, atOnce, size, unbounded] = await Promise.all([
    within(3000 + ANSWER_MS, () => queue.put(1, { timeoutMs: 3000 })),
    within(ANSWER_MS, () => queue.get({ block: false })),
    within(ANSWER_MS, () => queue.qsize()),
    queue.put('unbounded').catch((error: Error) => error),
  ]);
  for (const { error } of [waiting, atOnce, size]) expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
  await back;
  await queue.put('after');
  const items = await queue.getMany(10);
  expect(items[0]).toBe(0);
  expect(items.at(-1)).toBe('after');
  // Whoever was not told that the outcome is unknown was told the truth.
  expect(items.filter((item) => item === 1)).toHaveLength(
    waiting.error!.outcome === 'unknown' ? items.filter((item) => item === 1).length : 0,
  );
  expect(items.filter((item) => item === 'unbounded').length).toBeLessThanOrEqual(1);
  if (unbounded === undefined) expect(items).toContain('unbounded');
  await queue.close();
  await proxy.stop();
}, 90_000);

test('an actor that restarts is not called dead', async () => {
  const name = named('restarts');
  const actor = await holder.createActor(ONE_THREAD, [1], {}, { name, maxRestarts: 3 });
  const queue = actorQueue(name);
  await queue.put(0);
  void holder.call(actor, 'die').catch(() => {});
  const told: string[] = [];
  for (const started = performance.now(); performance.now() - started < 30_000;) {
    const outcome = await within(1000 + ANSWER_MS, () => queue.put(1, { timeoutMs: 1000 }));
    if (outcome.error === undefined) break;
    told.push(outcome.error.name);
  }
  process.stdout.write(`told ${told.join(', ')}\n`);
  expect(new Set(told)).not.toContain('RayActorDiedError');
  expect(told).not.toHaveLength(0);
  expect(await queue.get({ timeoutMs: 5000 })).toBe(1);
}, 90_000);

/** A cluster of this test's own. */
async function cluster(): Promise<{ address: string; stop: () => Promise<void> }> {
  const script = `
    import { startCluster } from './scripts/test/ray-cluster.mjs';
    const cluster = await startCluster();
    process.stdout.write(JSON.stringify(cluster));
    process.stdin.on('end', () => void cluster.stop().then(() => process.exit(0))).resume();`;
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(__dirname, '../..'),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const stop = (): Promise<void> => (child.stdin!.end(), exited);
  clusters.push(stop);
  const said = await Promise.race([
    new Promise<string>((resolve) => child.stdout!.once('data', (data) => resolve(String(data)))),
    exited.then(() => Promise.reject(new Error('The cluster did not start.'))),
  ]);
  return { address: (JSON.parse(said) as { address: string }).address, stop };
}

test('the head is started anew: a waiting put is not told that the queue is full, and the old handle goes on', async () => {
  const first = await cluster();
  const proxy = await new CuttingProxy(first.address).start();
  const queue = rayQueue(freshName('q'), proxy.address);
  await queue.put('old');
  await first.stop();
  const put = within(60_000, () => queue.put('waits', { timeoutMs: 60_000 }));
  const second = await cluster();
  try {
    proxy.leadTo(second.address);
    const { error } = await put;
    expect(error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
    // It may take one call more until it is told, when the break was longer than the patience with it.
    const next = await within(20_000, () => queue.put('new'));
    if (next.error !== undefined) {
      expect(next.error).toMatchObject({ name: 'RayActorDiedError' });
      await queue.put('new');
    }
    expect(await queue.getMany(5)).toEqual(['new']);
    await queue.close();
  } finally {
    await proxy.stop();
    await second.stop();
  }
}, 180_000);
