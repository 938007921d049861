/** One schedule: what programs, handlers, consumers and queues do, step by step, and how it has to have ended. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { QueueConnectionError, QueueDescriptor } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { ConsumeOptions, Job } from '../../lib/work';
import { readRecord } from '../../lib/work/retry-record';
import type { Random } from '../random';
import { drawKinds, drawSteps } from './kinds';
import { ForgetfulQueue } from './forgetful-queue';
import { Graves } from './graves';
import { MortalStore } from './mortal-store';
import type { VirtualLoop } from './virtual-clock';
import { checkDelivery, checkItems, freshItem } from './worked-items';
import type { FailedOften, Item, Run, Worker } from './worked-items';

const OFTEN = {
  put: 96,
  hire: 24,
  bury: 24,
  'graves change': 16,
  stop: 6,
  'queue fails': 3,
  die: 6,
  close: 3,
  abort: 3,
  'shut down': 1,
  nothing: 48,
};
const TIMEOUT_MS = 30;
/** In which everything that is left is done, once handlers do what they should. */
const REST_MS = 60_000;
const backoffMs = (attempts: number): number => 10 * attempts;
/** What settles after the grace of a stop is over; graves that do not answer have a second for it. */
const REST_MS_OF_STOP = 10;
const REST_MS_OF_GRAVES = 1000;

const ignore = (): void => {};
const complain = (): void => {
  throw new Error('onError');
};

let schedules = 0;

export class Schedule {
  private readonly descriptor: QueueDescriptor;
  private readonly store: MortalStore;
  private readonly keeper: StubQueue<number>;
  private readonly deadLetters: Graves;
  private readonly workers: Worker[] = [];
  private readonly items: Item[] = [];
  private readonly puts: Promise<void>[] = [];
  private readonly sleepers = new Set<NodeJS.Timeout>();
  private readonly mode: FailedOften;
  private readonly maxDeliveries: number;
  /** Its type takes back by putting again: what dies there, or has its handle closed, takes items with it. */
  private readonly isForgetful: boolean;
  private readonly drawKind: () => keyof typeof OFTEN;
  /** Handlers do what they should. */
  private isCalm = false;
  private lateMs = 0;
  /** What did not hold where the consumer, or nobody, would have taken it for its own. */
  private broken: { error: unknown } | undefined;

  constructor(
    private readonly loop: VirtualLoop,
    private readonly random: Random,
  ) {
    const { below, pick } = random;
    this.isForgetful = below(6) === 0;
    const maxsize = below(3) === 0 && !this.isForgetful ? 6 : 0;
    this.descriptor = QueueDescriptor.createLocalQueue(`consumed-${schedules++}`, { maxsize });
    this.store = new MortalStore(maxsize);
    this.keeper = new StubQueue<number>(this.descriptor, undefined, this.store);
    this.deadLetters = new Graves(below(2), this.items, backoffMs, (check) => this.noting(check));
    this.mode = pick(['for ever', 'letters', 'letters', 'drop'] as const);
    this.maxDeliveries = 2 + below(3);
    this.drawKind = drawKinds(random, OFTEN);
    this.hire();
  }

  async run(): Promise<void> {
    for (let steps = drawSteps(this.random); steps > 0; steps--) {
      this.step();
      const { below } = this.random;
      const passed = below(25) === 0 ? below(500) : below(3) === 0 ? below(30) : below(3);
      this.lateMs = Math.max(this.lateMs, passed);
      this.loop.now += passed;
      await this.loop.whole();
      this.look();
    }
    await this.end();
    if (this.broken !== undefined) throw this.broken.error;
    checkItems(this.items, this.mode);
  }

  private noting<R>(check: () => R): R {
    try {
      return check();
    } catch (error) {
      this.broken ??= { error };
      throw error;
    }
  }

  private step(): void {
    const { below, pick } = this.random;
    const worker = pick(this.workers);
    switch (this.drawKind()) {
      case 'put':
        return this.put();
      case 'hire':
        if (this.workers.filter(({ isStopped }) => !isStopped).length < 2) this.hire();
        return;
      case 'bury':
        return void this.bury().catch(() => {});
      case 'graves change':
        this.deadLetters.state = pick(['there', 'there', 'away', 'deaf'] as const);
        return;
      case 'stop':
        return this.stop(worker, below(2) === 0 ? below(100) : 0);
      case 'queue fails':
        return worker.queue.failNext(new QueueConnectionError('the queue is away'));
      case 'die':
        return this.isForgetful ? undefined : this.die(worker);
      case 'close':
        return this.isForgetful ? undefined : this.close(worker);
      case 'abort':
        return this.abort(worker);
      case 'shut down':
        return this.isForgetful ? undefined : this.shutDown(below(2) === 0);
      case 'nothing':
    }
  }

  // ── what happens ─────────────────────────────────────────────────────────

  private put(): void {
    const number = this.items.push(freshItem()) - 1;
    const timeoutMs = this.random.pick([undefined, undefined, 0, 20]);
    const refused = ({ code }: { code?: string }): void => {
      const mayBe = timeoutMs === undefined ? ['ERR_QUEUE_SHUT_DOWN'] : ['ERR_QUEUE_SHUT_DOWN', 'ERR_QUEUE_FULL'];
      assert(mayBe.includes(code!), code);
      this.items[number]!.isRefused = true;
    };
    this.puts.push(this.keeper.put(number, { timeoutMs }).catch(refused));
  }

  /** @param immediate what is in it is gone */
  private shutDown(immediate: boolean): void {
    if (immediate) for (const item of this.items) item.mayBeDropped = item.isDiscarded = true;
    void this.keeper.shutdown({ immediate });
  }

  /** Somebody reads a dead letter. */
  private async bury(): Promise<void> {
    const letter = await this.deadLetters.get({ block: false }).catch(() => undefined);
    if (letter === undefined) return;
    const item = this.items[letter.item]!;
    item.letters++;
    const story = `item ${letter.item} is dead after ${letter.deliveries} attempts`;
    this.noting(() => assert(letter.deliveries >= this.maxDeliveries || item.deaths > 0, story));
  }

  private options(controller: AbortController): ConsumeOptions<number> {
    const { below, pick } = this.random;
    return {
      concurrency: 1 + below(4),
      timeoutMs: below(3) === 0 ? undefined : TIMEOUT_MS,
      backoffMs,
      maxWaiting: pick([undefined, 0, 1]),
      onError: pick([ignore, ignore, ignore, complain]),
      signal: controller.signal,
      ...(this.mode === 'for ever' ? {} : { maxDeliveries: this.maxDeliveries }),
      ...(this.mode === 'letters' ? { deadLetter: this.deadLetters } : {}),
      ...(this.mode === 'drop' ? { drop: true } : {}),
    };
  }

  /** A queue that did not take what is known of an item: it may have it again without that. */
  private forgot(put: unknown): void {
    const item = this.items[readRecord(put)!.item as number]!;
    item.forgotten++;
    item.pausesUntilMs = item.unburiedUntilMs = 0;
  }

  private hire(): void {
    const controller = new AbortController();
    const options = this.options(controller);
    const queue = this.isForgetful
      ? new ForgetfulQueue(this.descriptor, this.store, (item) => this.forgot(item))
      : new StubQueue(this.descriptor, undefined, this.store);
    const batch = this.random.below(3) === 0 ? 3 : undefined;
    const runs = new Set<Run>();
    const handler = (given: unknown, job: Job): Promise<void> | undefined =>
      this.handle(worker, (Array.isArray(given) ? given : [given]) as number[], job);
    const consumer =
      batch === undefined
        ? consume<unknown>(queue, handler, options as ConsumeOptions<unknown>)
        : consume<unknown>(queue, handler, { ...(options as ConsumeOptions<unknown>), batch });
    const { concurrency, timeoutMs } = options as { concurrency: number; timeoutMs?: number };
    const worker: Worker = {
      consumer,
      queue,
      concurrency,
      timeoutMs,
      controller,
      runs,
      isStopped: false,
      isClosed: false,
      isDead: false,
      isOver: false,
    };
    this.workers.push(worker);
    const over = (): void => {
      worker.isOver = true;
      worker.isStopped = true;
    };
    consumer.done.then(over, over);
  }

  private stop(worker: Worker, graceMs: number): void {
    worker.isStopped = true;
    const began = this.loop.now;
    const stopped = (): void => {
      const late = this.loop.now - began - graceMs - 4 * this.lateMs;
      const mostMs = REST_MS_OF_STOP + (this.mode === 'letters' ? REST_MS_OF_GRAVES : 0);
      assert(worker.isDead || late <= mostMs, `stop() takes ${late} ms longer than its grace`);
      assert.equal(worker.consumer.stats().active, 0, 'nothing runs after a stop');
    };
    worker.consumer
      .stop({ graceMs })
      .then(() => this.noting(stopped))
      .catch(() => {});
  }

  private abort(worker: Worker): void {
    worker.isStopped = true;
    worker.controller.abort();
  }

  /** The process of a consumer dies: what it had on lease goes back, and nothing that it still does here counts. */
  private die(worker: Worker): void {
    if (worker.isDead || worker.isOver) return;
    worker.isDead = worker.isStopped = true;
    for (const item of this.items) item.deaths++;
    // … and what is being buried.
    const begun = this.mode === 'letters' ? this.items : [...worker.runs].flatMap(({ items }) => items);
    for (const item of begun) item.mayBeBlamed++;
    for (const run of worker.runs) this.leave(worker, run);
    this.store.isDeath = true;
    void worker.queue.close();
    this.store.isDeath = false;
  }

  /** Its handle is closed under it: what it had went back, also what was to be buried. */
  private close(worker: Worker): void {
    if (worker.isDead || worker.isOver) return;
    worker.isStopped = worker.isClosed = true;
    for (const item of this.items) item.closes++;
    void worker.queue.close();
  }

  // ── handlers ─────────────────────────────────────────────────────────────

  private leave(worker: Worker, run: Run): void {
    worker.runs.delete(run);
    for (const item of run.items) if (item.holder === run) item.holder = undefined;
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.sleepers.delete(timer);
        resolve();
      }, ms);
      this.sleepers.add(timer);
    });
  }

  private begin(worker: Worker, numbers: number[], job: Job): Run {
    const { loop } = this;
    assert(!worker.isStopped, 'no handler starts after a stop');
    const items = numbers.map((number) => this.items[number]!);
    const run: Run = { items, job, begunMs: loop.now };
    // A timeout that this turn of the loop has not come to yet frees its place first.
    for (const other of [...worker.runs]) if (other.job.signal.aborted) this.leave(worker, other);
    assert(worker.runs.size < worker.concurrency, `${worker.runs.size + 1} handlers beside a concurrency of less`);
    const others = [...worker.runs];
    if (job.crashes > 0) assert.equal(others.length, 0, 'an item that was in a death runs alone');
    for (const other of others) assert.equal(other.job.crashes, 0, 'nothing runs beside an item that was in a death');
    for (const item of items) {
      assert.equal(item.holder, undefined, 'one handler at a time has an item');
      item.holder = run;
      checkDelivery(item, job, loop.now);
      item.attempts++;
      if (this.mode !== 'for ever')
        assert(job.deliveries <= this.maxDeliveries, `attempt ${job.deliveries} of ${this.maxDeliveries}`);
    }
    worker.runs.add(run);
    return run;
  }

  private succeeded(worker: Worker, run: Run): void {
    if (!worker.runs.has(run) || run.job.signal.aborted) return this.leave(worker, run);
    this.leave(worker, run);
    for (const item of run.items) item.done++;
  }

  private failed(worker: Worker, run: Run): void {
    this.leave(worker, run);
    if (worker.isDead) return;
    for (const item of run.items) {
      item.pausesUntilMs = this.loop.now + backoffMs(run.job.deliveries);
      if (run.job.deliveries >= this.maxDeliveries) item.mayBeDropped = true;
    }
  }

  private handle(worker: Worker, numbers: number[], job: Job): Promise<void> | undefined {
    if (worker.isDead) return undefined;
    const run = this.noting(() => this.begin(worker, numbers, job));
    job.signal.addEventListener('abort', () => this.failed(worker, run));
    switch (this.isCalm ? 0 : this.random.below(8)) {
      case 0:
      case 1:
        this.succeeded(worker, run);
        return undefined;
      case 2:
        this.failed(worker, run);
        throw new Error('at once');
      case 3:
      case 4:
        return this.sleep(this.random.below(2 * TIMEOUT_MS)).then(() => this.succeeded(worker, run));
      case 5:
        return this.sleep(this.random.below(2 * TIMEOUT_MS)).then(() => {
          if (worker.runs.has(run)) this.failed(worker, run);
          throw new Error('later');
        });
      case 6: // until it is told
        return new Promise((_resolve, reject) => job.signal.addEventListener('abort', () => reject(new Error('told'))));
      default: // deaf
        return new Promise(() => {});
    }
  }

  // ── what must hold ───────────────────────────────────────────────────────

  private look(): void {
    for (const { consumer, concurrency, timeoutMs = Infinity, isClosed, isDead, runs } of this.workers) {
      if (isDead) continue;
      assert(!isClosed || runs.size === 0, 'whose lease is lost is told');
      assert(consumer.stats().active <= concurrency, 'no more handlers than places');
      const latestMs = this.loop.now - timeoutMs - 2 * this.lateMs;
      for (const { begunMs } of runs) assert(begunMs >= latestMs, 'whoever takes longer than its time is told');
    }
  }

  private async end(): Promise<void> {
    const { loop } = this;
    this.isCalm = true;
    this.deadLetters.state = 'there';
    // Who hangs without a timeout would do so for ever.
    for (const worker of this.workers) this.stop(worker, 0);
    const reading = setInterval(() => void this.bury().catch(() => {}), 50);
    await loop.advance(loop.now + REST_MS, () => this.workers.every(({ isOver }) => isOver));
    for (const { isOver } of this.workers) assert(isOver, 'done is settled after a stop');
    for (const timer of this.sleepers) clearTimeout(timer);
    assert.equal(this.store.onLease, 0, 'a consumer that is over holds nothing');
    this.hire();
    const last = this.workers.at(-1)!;
    let isPut = false;
    void Promise.all(this.puts).then(() => (isPut = true));
    await loop.advance(loop.now + REST_MS, () => isPut);
    assert(isPut, 'whoever waits for room gets it');
    void this.keeper.shutdown();
    await loop.advance(loop.now + REST_MS, () => last.isOver);
    assert(last.isOver, 'the end of the queue is the end of its consumer');
    assert.equal(this.store.size + this.store.onLease, 0, 'nothing is left in a queue that was worked off');
    const graves = (): Promise<number> => this.deadLetters.qsize().catch(() => 1);
    while ((await loop.outcome(graves())) > 0) await loop.outcome(this.bury());
    clearInterval(reading);
    for (const { queue } of this.workers) await queue.close();
    await this.keeper.close();
    await loop.idle();
    assert.equal(loop.armed, 0, 'no timer is left');
    assert.equal(loop.pending, 0, 'nothing waits for another turn');
    for (const { controller } of this.workers)
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0, 'no listener is left');
  }
}
