/**
 * The campaign of `test/work/campaign` on a virtual loop, where time is what handlers and pauses take and nothing else: jobs arrive at a
 * steady pace, handlers throw and hang, workers are killed, and one job kills whoever runs it. Good jobs wait hardly longer for all that.
 * JOBS=100000 takes some minutes.
 */
import assert from 'node:assert/strict';
import { QueueDescriptor } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { Consumer, DeadLetter, Job } from '../../lib/work';
import type { Random } from '../random';
import { MortalStore } from './mortal-store';
import { runSchedules } from './run-schedules';
import type { VirtualLoop } from './virtual-clock';

const JOBS = Number(process.env.JOBS ?? 10_000);
const KILLS = JOBS / 5000;
const WORKERS = 4;
/** Half of what the workers can do. */
const JOBS_PER_MS = 2;
const TIMEOUT_MS = 200;
const MAX_DELIVERIES = 8;
/** A new process takes so long to start. */
const START_MS = 250;
const POISON = -1;
/** Every tenth job never fails by itself. */
const isGood = (id: number): boolean => id % 10 === 0;

interface Worker {
  readonly consumer: Consumer;
  readonly queue: StubQueue;
  isDead: boolean;
}

let campaigns = 0;

class Campaign {
  /** Of the first deliveries. */
  readonly waitedMs: number[] = [];
  readonly letters: DeadLetter<number>[] = [];
  private readonly name = `campaign-${campaigns++}`;
  private readonly store = new MortalStore(1000);
  private readonly descriptor = QueueDescriptor.createLocalQueue(this.name, { maxsize: 1000 });
  private readonly source = new StubQueue(this.descriptor, undefined, this.store);
  private readonly graves = new StubQueue<DeadLetter<number>>(QueueDescriptor.createLocalQueue(`${this.name}.dead`));
  private readonly workers: Worker[] = [];
  private readonly arrivedMs = new Map<number, number>();
  /** Handlers that began, of each job. */
  private readonly attempts = new Map<number, number>();
  /** Deliveries that were said to be more or less than that. */
  readonly miscounted: [id: number, deliveries: number, attempts: number][] = [];
  private readonly finished = new Set<number>();

  constructor(
    private readonly loop: VirtualLoop,
    private readonly random: Random,
    private readonly isBad: boolean,
  ) {
    for (let index = 0; index < WORKERS; index++) this.hire();
  }

  async run(): Promise<void> {
    const { loop } = this;
    const began = loop.now;
    this.collect().catch(() => {});
    const atJob = (id: number): number => began + id / JOBS_PER_MS;
    for (let id = 0; id < JOBS; id++) loop.arrive(atJob(id), () => this.put(id));
    if (this.isBad) {
      loop.arrive(atJob(JOBS / 10), () => this.put(POISON));
      for (let kill = 1; kill <= KILLS; kill++)
        loop.arrive(atJob((kill * JOBS) / (KILLS + 1)), () => this.die(this.random.pick(this.living)));
    }
    const total = JOBS + (this.isBad ? 1 : 0);
    await loop.advance(began + 10 * JOBS, () => this.finished.size === total);
    assert.equal(this.finished.size, total);
    for (const { consumer } of this.workers) void consumer.stop({ graceMs: 0 });
    await loop.advance(loop.now + 2 * TIMEOUT_MS);
    for (const { queue } of this.workers) await loop.outcome(queue.close());
    await loop.outcome(this.source.close());
    await loop.outcome(this.graves.shutdown());
    await loop.outcome(this.graves.close());
  }

  private get living(): Worker[] {
    return this.workers.filter(({ isDead }) => !isDead);
  }

  private put(id: number): void {
    this.arrivedMs.set(id, this.loop.now);
    void this.source.put(id);
  }

  /** Dead letters, as they come. */
  private async collect(): Promise<void> {
    for await (const letter of this.graves) {
      this.letters.push(letter);
      this.finished.add(letter.item);
    }
  }

  private hire(): void {
    const queue = new StubQueue(this.descriptor, undefined, this.store);
    const consumer = consume<unknown>(queue, (id, job) => this.handle(worker, id as number, job), {
      concurrency: 16,
      timeoutMs: TIMEOUT_MS,
      maxDeliveries: MAX_DELIVERIES,
      deadLetter: this.graves,
      backoffMs: (attempts) => 20 * 2 ** (attempts - 1),
      onError: () => {},
    });
    const worker: Worker = { consumer, queue, isDead: false };
    this.workers.push(worker);
    consumer.done.catch(() => {});
  }

  /** What it had on lease goes back, and another one comes in its place. */
  private die(worker: Worker): void {
    worker.isDead = true;
    this.store.isDeath = true;
    void worker.queue.close();
    this.store.isDeath = false;
    setTimeout(() => this.hire(), START_MS);
  }

  private async handle(worker: Worker, id: number, job: Job): Promise<void> {
    if (worker.isDead) return;
    const attempts = (this.attempts.get(id) ?? 0) + 1;
    this.attempts.set(id, attempts);
    if (job.deliveries !== attempts) this.miscounted.push([id, job.deliveries, attempts]);
    if (id === POISON) return this.die(worker);
    if (job.deliveries === 1) this.waitedMs.push(this.loop.now - this.arrivedMs.get(id)!);
    const luck = this.isBad && !isGood(id) ? this.random.next() : 1;
    if (luck < 0.3) throw new Error('bad luck');
    if (luck < 0.35) await new Promise(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (!worker.isDead) this.finished.add(id);
  }
}

const p99 = ({ waitedMs }: Campaign): number =>
  waitedMs.sort((one, other) => one - other)[Math.floor(waitedMs.length * 0.99)]!;

void runSchedules('good jobs', 1, async (loop, random) => {
  const quiet = new Campaign(loop, random, false);
  await quiet.run();
  const busy = new Campaign(loop, random, true);
  await busy.run();
  const story = `p99 of the wait: ${p99(quiet)} and ${p99(busy)} ms, ${busy.letters.length} dead letters`;
  console.info(story);
  // A death counts for what had begun, and for nothing that waited beside it.
  assert.deepEqual(busy.miscounted, []);
  assert(p99(busy) <= 2 * p99(quiet) + 100, story);
  const blamed = busy.letters.filter(({ item }) => item === POISON || isGood(item));
  assert.deepEqual(
    blamed.map(({ item, deliveries, crashes }) => ({ item, deliveries, crashes })),
    [{ item: POISON, deliveries: MAX_DELIVERIES, crashes: MAX_DELIVERIES }],
  );
});
