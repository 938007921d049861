import { spawn } from 'node:child_process';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import type { RayQueue } from '../../lib/transports/ray';
import { resolveDescriptor } from '../../lib/resolve/registry';
import type { Queue } from '../../lib/queue/types';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('interop');
const client = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
const names: string[] = [];
const open: Queue[] = [];

function named(prefix: string): string {
  const name = freshName(prefix);
  names.push(name);
  return name;
}

function keep<Q extends Queue>(queue: Q): Q {
  open.push(queue);
  return queue;
}

afterEach(async () => void (await Promise.all(open.splice(0).map((queue) => queue.close()))));
afterAll(async () => {
  await killActors(client, names);
  await client.close();
});

/** Runs a Python driver in the cluster; `attach(name)` is the three lines of docs/ray.md. @returns what it printed. */
function python(program: string): Promise<string> {
  const source = `
import ray, datetime
from ray.util.queue import Queue, Empty, Full
ray.init(address="${process.env.RAY_GCS_ADDRESS}", namespace="${namespace}", log_to_driver=False, logging_level="error")
def attach(name):
    queue = Queue.__new__(Queue)
    queue.maxsize, queue.actor = 0, ray.get_actor(name)
    return queue
${program}`;
  const child = spawn(process.env.RAY_PYTHON ?? 'python3', ['-c', source], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (err += text));
  return new Promise((resolve, reject) =>
    child.on('exit', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(err)))),
  );
}

const rayQueue = (queueId: string, maxsize?: number): RayQueue<unknown> =>
  keep(
    resolveDescriptor(
      QueueDescriptor.createRayQueue(queueId, { address: rayAddress(), namespace, maxsize }),
      PATIENT,
    ) as unknown as RayQueue<unknown>,
  );

test("Python's Queue works on a queue made from Node, both ways", async () => {
  const name = named('q');
  const queue = rayQueue(name, 5);
  await queue.putMany([
    { a: [1, null, 'é😀'] },
    Buffer.from('bytes'),
    2n ** 80n,
    new Date(Date.UTC(2024, 0, 2, 3, 4, 5, 6)),
  ]);
  const said = await python(`
q = attach("${name}")
print([q.get() for _ in range(4)], q.qsize(), q.empty())
q.put({"from": ("python", 1.5, True)}); q.put_nowait(b"x"); q.put_nowait_batch([datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), 2 ** 80, None])
try: q.put_nowait(1)
except Full: print("full")
try: q.put(1, timeout=0.1)
except Full: print("full")
`);
  expect(said).toBe(
    "[{'a': [1, None, 'é😀']}, b'bytes', 1208925819614629174706176, datetime.datetime(2024, 1, 2, 3, 4, 5, 6000, tzinfo=datetime.timezone.utc)] 0 True\nfull\nfull",
  );
  expect(await queue.getMany(10)).toEqual([
    { from: ['python', 1.5, true] },
    Buffer.from('x'),
    new Date(Date.UTC(2024, 0, 2)),
    2n ** 80n,
    null,
  ]);
  const told = python(`
q = attach("${name}")
try: q.get_nowait()
except Empty: print("empty")
print(q.get(timeout=30), q.get_nowait_batch(0))
`);
  while ((await queue.stats()).waitingGetters === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await queue.put('woken');
  expect(await told).toBe('empty\nwoken []');
});

test("a queue that Python's Queue made is attached, with what it can promise", async () => {
  const name = named('q');
  await python(
    `q = Queue(3, actor_options={"name": "${name}", "lifetime": "detached", "num_cpus": 0}); q.put("first")`,
  );
  const queue = rayQueue(name);
  expect(await queue.get()).toBe('first');
  await queue.putMany([1, 2, 3]);
  await expect(queue.put(4, { block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' });
  await expect(queue.put(4, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' });
  expect(await queue.getMany(10)).toEqual([1, 2, 3]);
  await expect(queue.get({ block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  await expect(queue.get({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  const waiting = queue.get();
  await queue.put('later');
  expect(await waiting).toBe('later');
  expect((await queue.stats()).promises).toEqual({
    delivery: 'at-most-once',
    idempotentPuts: false,
    fifo: true,
    blocking: 'waits',
    totals: 'handle',
  });
});

const ACTORS: [string, string, 'waits' | 'polls'][] = [
  [
    'with blocking methods and no timeouts',
    `
import queue
class Actor:
    def __init__(self): self.items = queue.Queue()
    def put(self, item): self.items.put(item)
    def get(self): return self.items.get()
    def empty(self): return self.items.empty()
    def qsize(self): return self.items.qsize()`,
    'polls',
  ],
  [
    "with the signatures of Python's queue.Queue",
    `
import queue
class Actor:
    def __init__(self): self.items = queue.Queue()
    def put(self, item, block=True, timeout=None): self.items.put(item, block, timeout)
    def get(self, block=True, timeout=None): return self.items.get(block, timeout)
    def empty(self): return self.items.empty()
    def qsize(self): return self.items.qsize()
    def full(self): return self.items.full()`,
    'polls',
  ],
  [
    'asynchronous, without timeouts',
    `
import asyncio
class Actor:
    def __init__(self): self.items = asyncio.Queue()
    async def put(self, item): await self.items.put(item)
    async def get(self): return await self.items.get()
    async def empty(self): return self.items.empty()
    async def qsize(self): return self.items.qsize()`,
    'polls',
  ],
];

test.each(ACTORS)('an actor of the user, %s', async (_, source, blocking) => {
  const name = named('actor');
  await client.createActor({ source, name: 'Actor' }, [], {}, { name });
  const attach = (): Queue<unknown> =>
    keep(
      resolveDescriptor(
        QueueDescriptor.createRayActorQueue(undefined, name, { address: rayAddress(), namespace, create: false }),
        PATIENT,
      ),
    );
  const queue = attach();
  const other = attach();
  await expect(queue.get({ block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  await expect(queue.get({ timeoutMs: 60 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  const waiting = queue.get();
  // The waiting get must not keep the actor from serving the put that ends it.
  await other.put('meets');
  expect(await waiting).toBe('meets');
  await queue.putMany([1, { two: 2 }, [3]]);
  expect(await other.qsize()).toBe(3);
  expect(await other.empty()).toBe(false);
  expect(await other.getMany(10)).toEqual([1, { two: 2 }, [3]]);
  const leaving = new AbortController();
  const aborted = queue.get({ signal: leaving.signal });
  leaving.abort(new Error('left'));
  await expect(aborted).rejects.toThrow('left');
  await other.put('kept');
  expect(await queue.get({ timeoutMs: 3000 })).toBe('kept');
  expect(await queue.stats()).toMatchObject({ promises: { delivery: 'at-most-once', blocking } });
});
