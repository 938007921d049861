/** Work on a queue of a real cluster: consume and its dead letters, calls and what is left of their callers, the end of work. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { getLocalQueue } from '../../lib';
import type { Queue } from '../../lib';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { caller, consume, serve } from '../../lib/work';
import type { DeadLetter } from '../../lib/work';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('work');
// Open throughout, so that the queues that come and go share one session.
const holder = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
const ends: (() => Promise<unknown>)[] = [];

beforeAll(() => holder.listNamedActors());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => holder.close());

function makeQueue(): { queueId: string; attach: () => Queue } {
  const queueId = freshName('jobs');
  ends.push(() => killActors(holder, [queueId]));
  const attach = (): Queue => {
    const options = { address: rayAddress(), namespace };
    const queue = resolveDescriptor(QueueDescriptor.createRayQueue(queueId, options), PATIENT) as Queue;
    ends.push(() => queue.close());
    return queue;
  };
  return { queueId, attach };
}

const actors = async (): Promise<string[]> => (await holder.listNamedActors()).map(({ name }) => name);

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited 30 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('two consumers: each job done once, a bad one a dead letter after its attempts, join at the end of all', async () => {
  const { attach } = makeQueue();
  const [queue, other] = [attach(), attach()];
  const deadLetter = getLocalQueue<DeadLetter<number>>(freshName('dead'));
  const done: number[] = [];
  let attempts = 0;
  const start = (from: Queue): void => {
    const consumer = consume<number>(
      from as Queue<number>,
      (n) => {
        if (n === 13) throw new RangeError(`no ${++attempts}`);
        done.push(n);
      },
      { concurrency: 8, maxDeliveries: 3, deadLetter, backoffMs: () => 10, onError() {} },
    );
    ends.push(() => consumer.stop({ graceMs: 0 }));
  };
  const jobs = Array.from({ length: 200 }, (_, index) => index);
  await queue.putMany(jobs);
  const over = attach().join();
  start(queue);
  start(other);
  await over;
  expect(done.sort((a, b) => a - b)).toEqual(jobs.filter((n) => n !== 13));
  expect(await deadLetter.getMany(10)).toEqual([
    expect.objectContaining({ item: 13, deliveries: 3, error: expect.objectContaining({ message: 'no 3' }) }),
  ]);
  expect(await queue.stats()).toMatchObject({ qsize: 0, leased: 0 });
});

test('calls: what the handler returns or throws, and no actor is left of a caller that has closed', async () => {
  const { queueId, attach } = makeQueue();
  const server = serve<number, number>(attach(), (n) => {
    if (n === 3) throw new RangeError('three');
    return n * 2;
  });
  ends.push(() => server.stop());
  const asking = caller<number, number>(attach());
  const replies = await Promise.allSettled([1, 2, 3].map((n) => asking.call(n)));
  expect(replies).toMatchObject([{ value: 2 }, { value: 4 }, { reason: { name: 'RangeError', message: 'three' } }]);
  expect((await actors()).filter((name) => name.startsWith(`${queueId}.reply.`))).toHaveLength(1);
  await asking.close();
  await until('its actor is gone', async () => (await actors()).every((name) => name === queueId));
});

test('nor of one that was killed', async () => {
  const { queueId, attach } = makeQueue();
  const queue = attach();
  const server = serve<number, number>(queue, (n) => n);
  ends.push(() => server.stop());
  const program = `
    const { resolveDescriptor } = require('sage-queue');
    const { caller } = require('sage-queue/work');
    caller(resolveDescriptor(process.argv[1])).call(7).then((n) => process.stdout.write(String(n)));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', program, JSON.stringify(queue.descriptor)], {
    cwd: join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  ends.push(async () => child.kill('SIGKILL'));
  expect(await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data))))).toBe('7');
  expect((await actors()).filter((name) => name.startsWith(`${queueId}.reply.`))).toHaveLength(1);
  child.kill('SIGKILL');
  await until('its actor is gone', async () => (await actors()).every((name) => name === queueId));
});

test('more joins than an actor runs calls at once leave it answering', async () => {
  const { attach } = makeQueue();
  const [queue, other] = [attach(), attach()];
  await queue.put('last');
  const lease = await other.lease();
  const joins: Promise<void>[] = [];
  while (joins.length < 1200) {
    const join = queue.join();
    join.catch(() => {});
    joins.push(join);
    await Promise.resolve();
    if (joins.length % 100 === 0) await new Promise(setImmediate);
  }
  // A call that waits ends after 10 s in any case.
  const asked = performance.now();
  expect(await other.qsize()).toBe(0);
  expect(performance.now() - asked).toBeLessThan(5000);
  await lease.ack();
  await Promise.all(joins);
});
