/**
 * A week of work in some seconds: jobs arrive at a steady pace, handlers throw and hang, workers are killed, and one job kills whoever
 * touches it. Nothing is lost, and good jobs wait no longer for it. SAGE_QUEUE_LONG=1 (npm run test:work:long) takes 100 000 jobs.
 */
import { QueueDescriptor, QueueEmptyError, resolveDescriptor } from '../../lib';
import type { NativeQueue } from '../../lib';
import type { DeadLetter } from '../../lib/work';
import { History } from '../history/check-history.cjs';
import { describeQueue, now, start } from '../shm/child';
import type { Child } from '../shm/child';

const LONG = process.env.SAGE_QUEUE_LONG === '1';
const JOBS = LONG ? 100_000 : 2000;
const KILLS = LONG ? 20 : 6;
const WORKERS = 4;
const PER_SECOND = LONG ? 2000 : 500;
const MAX_DELIVERIES = 8;
const CONCURRENCY = 16;
const POISON = -1;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

jest.setTimeout(LONG ? 600_000 : 120_000);

/** Says `ready`, and then nothing: what it has done goes through a queue. */
const WORKER = `
const { consume } = require('sage-queue/work');
const [resultsName, deadName, seed, maxDeliveries, badShare, hangShare] = given;
const jobs = open();
const results = sq.resolveDescriptor(resultsName);
const dead = sq.resolveDescriptor(deadName);
// One draw for each attempt of each job, the same in every process.
const draw = (id, attempt) => {
  let x = Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(attempt, 0x85ebca6b) ^ seed;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d); x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
};
const consumer = consume(jobs, async ({ id, arrivedMs }, job) => {
  const waitedMs = Date.now() - arrivedMs;
  if (id === ${POISON}) process.kill(process.pid, 'SIGKILL');
  if (job.deliveries === 1) results.putSync({ id, pid: process.pid, kind: 'began', waitedMs });
  const luck = id % 10 === 0 ? 1 : draw(id, job.deliveries);
  if (luck < badShare) throw new Error('bad luck of ' + id);
  if (luck < badShare + hangShare) await new Promise(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (job.signal.aborted) return;
  results.putSync({ id, pid: process.pid, kind: 'done', crashes: job.crashes });
}, { concurrency: ${CONCURRENCY}, timeoutMs: 200, maxDeliveries, deadLetter: dead, backoffMs: (n) => 20 * 2 ** (n - 1), onError() {} });
process.once('SIGTERM', async () => {
  await consumer.stop({ graceMs: 2000 });
  process.exit(0);
});
say('ready');
`;

interface Result {
  id: number;
  pid: number;
  kind: 'began' | 'done';
  waitedMs: number;
  /** Of the delivery that was done. */
  crashes: number;
}

interface Outcome {
  results: Result[];
  letters: DeadLetter<{ id: number }>[];
  deaths: number;
}

/** An item that is on its way in counts, and cannot be had yet. */
function taken(queue: NativeQueue): unknown[] {
  try {
    return queue.getManySync(512, { block: false });
  } catch (error) {
    if (error instanceof QueueEmptyError) return [];
    throw error;
  }
}

function* drained(queue: NativeQueue): Generator<unknown> {
  for (let items = taken(queue); items.length > 0; items = taken(queue)) yield* items;
}

async function campaign(bad: number, hang: number, kills: number, poison: boolean): Promise<Outcome> {
  const [jobs, results, dead] = [1000, 0, 0].map((maxsize) =>
    describeQueue('sage_queue', { maxsize, capacityBytes: 4 * 1024 * 1024 }),
  ) as [QueueDescriptor, QueueDescriptor, QueueDescriptor];
  const [jobQueue, resultQueue, deadQueue] = [jobs, results, dead].map(
    (descriptor) => resolveDescriptor(descriptor) as unknown as NativeQueue,
  ) as [NativeQueue, NativeQueue, NativeQueue];
  const outcome: Outcome = { results: [], letters: [], deaths: 0 };
  const finished = new Set<number>();
  let over = false;
  const workers = new Set<Child>();
  const hire = (): void => {
    const worker = start(WORKER, jobs, [results, dead, SEED, MAX_DELIVERIES, bad, hang]);
    workers.add(worker);
    void worker.ended.then(({ signal }) => {
      workers.delete(worker);
      if (signal !== 'SIGKILL') return;
      outcome.deaths++;
      if (!over) hire();
    });
  };
  for (let index = 0; index < WORKERS; index++) hire();
  await Promise.all([...workers].map((worker) => worker.next()));
  const collect = (): void => {
    for (const result of drained(resultQueue) as Generator<Result>) {
      outcome.results.push(result);
      if (result.kind === 'done') finished.add(result.id);
    }
    for (const letter of drained(deadQueue) as Generator<DeadLetter<{ id: number }>>) {
      outcome.letters.push(letter);
      finished.add(letter.item.id);
    }
  };
  const began = now();
  const total = JOBS + (poison ? 1 : 0);
  let [put, killed] = [0, 0];
  try {
    // Open loop: a job arrives when its time has come, whether or not there is room for it.
    const arrivals: Promise<void>[] = [];
    await until(
      `${total} jobs are done (seed ${SEED})`,
      async () => {
        const due = Math.min(JOBS, Math.floor(((now() - began) * PER_SECOND) / 1000));
        for (; put < due; put++) {
          arrivals.push(jobQueue.put({ id: put, arrivedMs: Date.now() }));
          if (poison && put === Math.floor(JOBS / 10))
            arrivals.push(jobQueue.put({ id: POISON, arrivedMs: Date.now() }));
        }
        if (killed < kills && put > ((killed + 1) * JOBS) / (kills + 1)) {
          killed++;
          [...workers][Math.floor(Math.random() * workers.size)]?.signal('SIGKILL');
        }
        collect();
        return finished.size >= total;
      },
      LONG ? 500_000 : 100_000,
    );
    await Promise.all(arrivals);
  } finally {
    over = true;
    for (const worker of workers) worker.signal('SIGTERM');
    await Promise.all([...workers].map((worker) => worker.ended));
    collect();
    for (const queue of [jobQueue, resultQueue, deadQueue]) {
      queue.unlinkSync();
      queue.closeSync();
    }
  }
  return outcome;
}

async function until(what: string, holds: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = now() + withinMs;
  while (!(await holds())) {
    if (now() > deadline) throw new Error(`waited ${withinMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const p99 = ({ results }: Outcome): number => {
  const waits = results.filter(({ kind }) => kind === 'began').map(({ waitedMs }) => waitedMs);
  waits.sort((a, b) => a - b);
  return waits[Math.floor(waits.length * 0.99)]!;
};

test('no job is lost, none that is acknowledged comes again, and the guilty goes alone', async () => {
  console.info(`campaign: SEED=${SEED}`);
  const outcome = await campaign(0.3, 0.05, KILLS, true);
  // Of each job, the crashes of every delivery that was done.
  const done = new Map<number, number[]>();
  for (const { id, kind, crashes } of outcome.results)
    if (kind === 'done') done.set(id, [...(done.get(id) ?? []), crashes]);
  const dead = new Set(outcome.letters.map(({ item }) => item.id));
  // Again is only what was in a death: done by a worker that was killed before it could acknowledge, or put again (and not yet
  // acknowledged) by one that was killed then. All but one of its deliveries were in a death, and no death doubles more than was in hand.
  const history = new History();
  history.ack('jobs', 0, JOBS);
  const ended = (id: number, crashes: number): void => {
    history.got('-', 'jobs', id, id + 1);
    if (crashes > 0) history.held('jobs', id, id + 1);
  };
  for (const [id, crashes] of done) for (const count of crashes) ended(id, count);
  for (const { item, crashes } of outcome.letters) if (item.id !== POISON) ended(item.id, crashes);
  const again = [...done].filter(([, crashes]) => crashes.length > 1);
  history.most('jobs done again', again.length, outcome.deaths * (CONCURRENCY + 1));
  expect(history.result().problems).toEqual([]);
  expect(done.has(POISON)).toBe(false);
  const poison = outcome.letters.filter(({ item }) => item.id === POISON);
  expect(poison).toEqual([expect.objectContaining({ deliveries: MAX_DELIVERIES, crashes: MAX_DELIVERIES })]);
  // Every tenth job is good: what made it a dead letter could only be its neighbours.
  expect(outcome.letters.filter(({ item }) => item.id >= 0 && item.id % 10 === 0)).toEqual([]);
  for (const { item, error, crashes } of outcome.letters)
    if (crashes === 0) expect(error.message).toMatch(new RegExp(`^bad luck of ${item.id}$|timeoutMs`));
  console.info(
    `${outcome.deaths} workers died, ${dead.size} dead letters, ${again.length} jobs done again, p99 of the wait ${p99(outcome)} ms`,
  );
});

// A figure of a loaded machine tells nothing: by hand, on a quiet one.
(LONG ? test : test.skip)('good jobs are not delayed by bad ones', async () => {
  const quiet = p99(await campaign(0, 0, 0, false));
  const busy = p99(await campaign(0.3, 0.05, KILLS, true));
  console.info(`p99 of the wait: ${quiet} ms without bad jobs, ${busy} ms with them`);
  expect(busy).toBeLessThanOrEqual(2 * quiet + 100);
});
