/**
 * A week of work in some seconds: jobs arrive at a steady pace, handlers throw and hang, workers are killed, and one job kills whoever
 * touches it. Nothing is lost, and good jobs wait no longer for it. SAGE_QUEUE_LONG=1 (npm run test:work:long) takes 100 000 jobs.
 */
import { join } from 'node:path';
import { QueueDescriptor, QueueEmptyError, resolveDescriptor } from '../../lib';
import type { NativeQueue, Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { consume } from '../../lib/work';
import type { DeadLetter } from '../../lib/work';
import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { describeQueue, freshName, now, start } from '../shm/child';
import { POISON, work } from './campaign-worker.cjs';
import type { Campaign } from './campaign-worker.cjs';

const LONG = process.env.SAGE_QUEUE_LONG === '1';
const JOBS = LONG ? 100_000 : 2000;
const KILLS = LONG ? 20 : 6;
const WORKERS = 4;
const PER_SECOND = LONG ? 2000 : 500;
const MAX_DELIVERIES = 8;
const CONCURRENCY = 16;
const CHANCE = seeded('campaign');

jest.setTimeout(LONG ? 600_000 : 120_000);

/** Says `ready`, and then nothing: what it has done goes through a queue. */
const WORKER = `
const { consume } = require('sage-queue/work');
const { work } = require(${JSON.stringify(join(__dirname, 'campaign-worker.cjs'))});
const [results, dead, campaign] = given;
const consumer = work(consume, { jobs: open(), results: sq.resolveDescriptor(results), dead: sq.resolveDescriptor(dead) }, campaign);
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
  /** Of the workers that were killed, or killed themselves. */
  deaths: Set<number>;
}

interface JobQueue {
  /** What workers attach to. */
  descriptor: QueueDescriptor;
  /** Where jobs arrive. */
  queue: Queue;
  /** Whether it knows of each delivery that its process died: only then are the guilty told from their neighbours. */
  provesDeaths: boolean;
  end(): Promise<void>;
}

const OPTIONS = { maxsize: 1000, capacityBytes: 4 * 1024 * 1024 };

async function native(type: 'shm' | 'sage_queue'): Promise<JobQueue> {
  const descriptor = describeQueue(type, OPTIONS);
  const queue = resolveDescriptor(descriptor) as unknown as NativeQueue;
  return {
    descriptor,
    queue,
    provesDeaths: true,
    end: async () => {
      queue.unlinkSync();
      queue.closeSync();
    },
  };
}

async function served(): Promise<JobQueue> {
  const queue = resolveDescriptor(QueueDescriptor.createLocalQueue(freshName(), { maxsize: 1000 })) as Queue;
  const server = new QueueServer({ queues: { jobs: queue } });
  const { port } = await server.start();
  return {
    descriptor: QueueDescriptor.createRpcQueue('127.0.0.1', port, 'jobs'),
    queue,
    provesDeaths: false,
    end: async () => {
      await server.stop({ graceMs: 0 });
      await queue.close();
    },
  };
}

async function local(): Promise<JobQueue> {
  const descriptor = QueueDescriptor.createLocalQueue(freshName(), { maxsize: 1000 });
  const queue = resolveDescriptor(descriptor) as Queue;
  return { descriptor, queue, provesDeaths: false, end: () => queue.close() };
}

const types: [type: string, make: () => Promise<JobQueue>][] = [
  ['sage_queue', () => native('sage_queue')],
  ['shm', () => native('shm')],
  ['rpc', served],
  ['local', local],
];

interface Worker {
  pid: number;
  ready: Promise<unknown>;
  kill(): void;
  stop(): void;
  /** Resolves to whether it was killed. */
  ended: Promise<boolean>;
}

function workerProcess(jobs: QueueDescriptor, results: NativeQueue, dead: NativeQueue, campaign: Campaign): Worker {
  const child = start(WORKER, jobs, [results.descriptor, dead.descriptor, campaign]);
  const ready = child.next();
  ready.catch(() => {});
  return {
    pid: child.pid,
    ready,
    kill: () => void child.signal('SIGKILL'),
    stop: () => void child.signal('SIGTERM'),
    ended: child.ended.then(({ signal }) => signal === 'SIGKILL'),
  };
}

/** In this process, which nobody kills. */
function workerHere(jobs: Queue, results: NativeQueue, dead: NativeQueue, campaign: Campaign): Worker {
  const consumer = work(consume, { jobs, results, dead }, campaign);
  return {
    pid: process.pid,
    ready: Promise.resolve(),
    kill: () => {},
    stop: () => void consumer.stop({ graceMs: 2000 }),
    ended: consumer.done.then(() => false),
  };
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

async function campaign(
  jobs: JobQueue,
  { bad, hang, kills, poison }: { bad: number; hang: number; kills: number; poison: boolean },
): Promise<Outcome> {
  const [resultQueue, deadQueue] = [0, 0].map(
    (maxsize) => resolveDescriptor(describeQueue('sage_queue', { ...OPTIONS, maxsize })) as unknown as NativeQueue,
  ) as [NativeQueue, NativeQueue];
  const share: Campaign = { seed: CHANCE.seed, maxDeliveries: MAX_DELIVERIES, bad, hang, concurrency: CONCURRENCY };
  const outcome: Outcome = { results: [], letters: [], deaths: new Set() };
  const finished = new Set<number>();
  let over = false;
  const workers = new Set<Worker>();
  const hire = (): void => {
    const worker =
      jobs.descriptor.queueType === 'local'
        ? workerHere(jobs.queue, resultQueue, deadQueue, share)
        : workerProcess(jobs.descriptor, resultQueue, deadQueue, share);
    workers.add(worker);
    void worker.ended.then((wasKilled) => {
      workers.delete(worker);
      if (!wasKilled) return;
      outcome.deaths.add(worker.pid);
      if (!over) hire();
    });
  };
  for (let index = 0; index < WORKERS; index++) hire();
  await Promise.all([...workers].map((worker) => worker.ready));
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
      `${total} jobs are done (SEED=${CHANCE.seed})`,
      async () => {
        const due = Math.min(JOBS, Math.floor(((now() - began) * PER_SECOND) / 1000));
        for (; put < due; put++) {
          arrivals.push(jobs.queue.put({ id: put, arrivedMs: Date.now() }));
          if (poison && put === Math.floor(JOBS / 10))
            arrivals.push(jobs.queue.put({ id: POISON, arrivedMs: Date.now() }));
        }
        if (killed < kills && put > ((killed + 1) * JOBS) / (kills + 1)) {
          killed++;
          CHANCE.pick([...workers])?.kill();
        }
        collect();
        return finished.size >= total;
      },
      LONG ? 500_000 : 100_000,
    );
    await Promise.all(arrivals);
  } finally {
    over = true;
    for (const worker of workers) worker.stop();
    await Promise.all([...workers].map((worker) => worker.ended));
    collect();
    await jobs.end();
    for (const queue of [resultQueue, deadQueue]) {
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

test.each(types)(
  '%s: no job is lost, none that is acknowledged comes again, and the guilty goes alone',
  async (type, make) => {
    const jobs = await make();
    const poison = jobs.provesDeaths;
    const outcome = await campaign(jobs, { bad: 0.3, hang: 0.05, kills: type === 'local' ? 0 : KILLS, poison });
    const done = new Map<number, Result[]>();
    for (const result of outcome.results)
      if (result.kind === 'done') done.set(result.id, [...(done.get(result.id) ?? []), result]);
    const dead = new Set(outcome.letters.map(({ item }) => item.id));
    // Again is only what was in a death: done by a worker that was killed before it could acknowledge, or put again (and not yet
    // acknowledged) by one that was killed then. All but one of its deliveries were in a death, and no death doubles more than was in hand.
    const history = new History();
    history.ack('jobs', 0, JOBS);
    const ended = (id: number, wasInDeath: boolean): void => {
      history.got('-', 'jobs', id, id + 1);
      if (wasInDeath) history.held('jobs', id, id + 1);
    };
    for (const [id, results] of done)
      for (const { pid, crashes } of results) ended(id, crashes > 0 || outcome.deaths.has(pid));
    for (const { item, crashes } of outcome.letters) if (item.id !== POISON) ended(item.id, crashes > 0);
    const again = [...done.values()].filter((results) => results.length > 1);
    history.most('jobs done again', again.length, outcome.deaths.size * (CONCURRENCY + 1));
    expect(history.result().problems).toEqual([]);
    expect(done.has(POISON)).toBe(false);
    if (poison) {
      const guilty = outcome.letters.filter(({ item }) => item.id === POISON);
      expect(guilty).toEqual([expect.objectContaining({ deliveries: MAX_DELIVERIES, crashes: MAX_DELIVERIES })]);
      expect(outcome.deaths.size).toBeGreaterThanOrEqual(MAX_DELIVERIES);
    }
    // Every tenth job is good: what made it a dead letter could only be its neighbours.
    expect(outcome.letters.filter(({ item }) => item.id >= 0 && item.id % 10 === 0)).toEqual([]);
    // Over a network a death is no proof, and counts as a delivery that came back.
    const unproved = type === 'rpc' ? '|came back each time' : '';
    for (const { item, error, crashes } of outcome.letters)
      if (crashes === 0) expect(error.message).toMatch(new RegExp(`^bad luck of ${item.id}$|timeoutMs${unproved}`));
    console.info(
      `${type}: ${outcome.deaths.size} workers died, ${dead.size} dead letters, ${again.length} jobs done again, p99 of the wait ${p99(outcome)} ms`,
    );
  },
);

// A figure of a loaded machine tells nothing: by hand, on a quiet one.
(LONG ? test : test.skip)('good jobs are not delayed by bad ones', async () => {
  const quiet = p99(await campaign(await native('sage_queue'), { bad: 0, hang: 0, kills: 0, poison: false }));
  const busy = p99(await campaign(await native('sage_queue'), { bad: 0.3, hang: 0.05, kills: KILLS, poison: true }));
  console.info(`p99 of the wait: ${quiet} ms without bad jobs, ${busy} ms with them`);
  expect(busy).toBeLessThanOrEqual(2 * quiet + 100);
});
