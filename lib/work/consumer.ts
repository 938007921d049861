/**
 * The loop around leases. Every item of the queue that is in this process is in exactly one place: `ready` (its handler starts as soon as
 * a place is free), running, in the waiting room, the `suspect`, or being settled (an end of its lease is under way).
 *
 * A failed attempt is recorded by giving the item back at once: the queue counts its deliveries, and whoever leases it next, here or
 * elsewhere, sees that it came before and lets it pause first. Nothing about an item is known to this process alone.
 */
import { refuseUnknown } from '../util/known-options';
import { asyncDispose } from '../util/dispose';
import { QueueClosedError, QueueFullError, QueueShutDownError, QueueTimeoutError, SerializationError } from '../errors';
import type { Awaitable, Queue } from '../queue/types';
import { onAbort } from '../wait/abort-listeners';
import { Alarm } from '../wait/deadline';
import { isTurnOver, nextTurn } from '../wait/fairness';
import { deadOnArrival } from './dead-letter';
import { Acknowledgements, holdItems } from './held-items';
import type { HeldItem } from './held-items';
import { defaultBackoffMs } from './options';
import type { WorkOptions } from './options';
import { recordOf } from './retry-record';
import { RunningJob } from './running-job';
import { traceJob } from './tracing';
import type { Consumer, ConsumerStats, Job } from './types';
import { WaitingRoom } from './waiting-room';

const DEFAULT_GRACE_MS = 10_000;
/** Of a queue without a maxsize. */
const WAITING_WITHOUT_BOUND = 1000;
/** Between two looks at a queue that had nothing but items whose time has not come. */
const REST_MS = 5;
/** What runs alone takes at most a quarter of the time. */
const OPEN_SHARE = 3;
/** Once everything else has ended, suspects go on one after the other for at least so long. */
const ALONE_MS = 50;
/** For one that may run: the others have still to pause. */
const LOOKS_ALONE = 8;

/** Not an error: the reason of a lease that is called off. */
const CALLED_OFF = Symbol('called off');

interface Run<T> {
  readonly items: readonly HeldItem<T>[];
  readonly job: RunningJob;
  /** On the monotonic clock. */
  readonly deadline: number;
  over: boolean;
}

export type Handler<T> = (item: T, job: Job) => Awaitable<void>;

export class QueueConsumer<T> implements Consumer {
  readonly done: Promise<void>;

  private ready: HeldItem<T>[] = [];
  /** In the order of their starts, which is that of their deadlines. */
  private readonly running = new Set<Run<T>>();
  private readonly waiting = new WaitingRoom<T>((held) => this.due(held));
  /** The one item here that was in a crash and whose pause is over; it runs when nothing else does. */
  private suspect: HeldItem<T> | undefined;
  private settling = 0;
  /** The last of the moves to the back of the queue: they go one after the other. */
  private moves: Promise<unknown> = Promise.resolve();
  private readonly acknowledgements = new Acknowledgements((call, items) => this.acknowledged(call, items));

  /** alone: a suspect runs, or is about to once everything else has ended. */
  private mode: 'open' | 'emptying' | 'alone' = 'open';
  private taking = false;
  private takes = new AbortController();
  /** Puts of dead letters, which may have to wait for room. */
  private readonly burials = new AbortController();
  private readonly rest = new Alarm(Infinity, () => this.advance(), true);
  private wake = Infinity;
  private restUntil = 0;
  private nextAlone = 0;
  private readonly timeouts = new Alarm(Infinity, () => this.timeOut(), true);
  private readonly grace = new Alarm(Infinity, () => this.endGrace(), true);
  private readonly quiet: (() => void)[] = [];

  private ending = false;
  private over = false;
  private failure: { error: unknown } | undefined;
  private warned = false;
  private readonly counts = { done: 0, failed: 0, dead: 0 };
  private maxWaiting: number | undefined;
  private resolveDone!: () => void;
  private rejectDone!: (error: unknown) => void;
  private readonly forgetSignal: () => void;

  constructor(
    private readonly queue: Queue<T>,
    private readonly handler: (item: T | T[], job: Job) => Awaitable<void>,
    private readonly options: WorkOptions<T>,
  ) {
    this.maxWaiting = options.maxWaiting;
    this.done = new Promise((resolve, reject) => {
      this.resolveDone = resolve;
      this.rejectDone = reject;
    });
    this.forgetSignal = onAbort(options.signal, () => void this.stop());
    this.advance();
  }

  stats(): ConsumerStats {
    return { active: this.running.size, ...this.counts, waitingRetry: this.waiting.size };
  }

  async stop(options: { graceMs?: number } = {}): Promise<void> {
    refuseUnknown(options, ['graceMs']);
    const { graceMs = DEFAULT_GRACE_MS } = options;
    if (!(graceMs >= 0)) throw new RangeError(`graceMs must be 0 or more milliseconds, found ${graceMs}.`);
    this.endTaking();
    for (const held of this.ready.splice(0)) this.giveBack(held);
    this.grace.set(performance.now() + graceMs);
    this.advance();
    await this.done.catch(() => {});
  }

  [asyncDispose](): Promise<void> {
    return this.stop();
  }

  // ── what may happen now ──────────────────────────────────────────────────

  /** Called after everything that changes the state. */
  private advance(): void {
    if (this.over) return;
    if (this.mode !== 'alone')
      while (this.ready.length > 0 && this.running.size < this.options.concurrency) this.start(this.nextItems());
    if (this.isQuiet) for (const resume of this.quiet.splice(0)) resume();
    const now = performance.now();
    let wake = Infinity;
    if (this.suspect !== undefined && this.mode === 'open' && !this.ending) {
      if (now >= this.nextAlone) void this.runAlone(this.suspect);
      else wake = this.nextAlone;
    }
    if (this.mayTake) {
      if (now >= this.restUntil) void this.take();
      else wake = Math.min(wake, this.restUntil);
    }
    if (wake !== this.wake) this.rest.set((this.wake = wake));
    if (this.ending && this.mode === 'open' && this.isQuiet && this.waiting.size === 0) this.finish();
  }

  /** Nothing runs, or is about to. */
  private get isQuiet(): boolean {
    return (
      this.running.size === 0 &&
      (this.ready.length === 0 || this.mode === 'alone') &&
      this.settling === 0 &&
      this.acknowledgements.isEmpty &&
      !this.taking
    );
  }

  private get mayTake(): boolean {
    if (this.ending || this.taking || this.mode !== 'open' || this.ready.length > 0) return false;
    return this.running.size < this.options.concurrency;
  }

  private get holdsSuspect(): boolean {
    return this.suspect !== undefined || this.waiting.has(({ crashes }) => crashes > 0);
  }

  private becomesQuiet(): Promise<void> {
    return new Promise((resolve) => {
      this.quiet.push(resolve);
      this.advance();
    });
  }

  private finish(): void {
    this.over = true;
    for (const alarm of [this.rest, this.timeouts, this.grace]) alarm.cancel();
    this.forgetSignal();
    if (this.failure === undefined) this.resolveDone();
    else this.rejectDone(this.failure.error);
  }

  // ── taking ───────────────────────────────────────────────────────────────

  private async take(): Promise<void> {
    this.taking = true;
    try {
      const places = this.options.concurrency - this.running.size;
      const batch = await this.queue.leaseMany(places * (this.options.batch ?? 1), { signal: this.takes.signal });
      const items = holdItems<T>(batch);
      let moved = 0;
      for (const held of items) if (!this.admit(held)) moved++;
      if (moved === items.length) this.restUntil = performance.now() + REST_MS;
      this.advance();
      // Other consumers of this process, timers and sockets have their turn too.
      if (isTurnOver(items.length)) await nextTurn();
    } catch (error) {
      this.cannotTake(error);
    }
    this.taking = false;
    this.advance();
  }

  private cannotTake(error: unknown): void {
    if (error === CALLED_OFF) return;
    if (error instanceof SerializationError && error.bytes !== undefined) {
      // It is out of the queue, and this is all that is left of it.
      this.counts.failed++;
      this.report(error, error.bytes as T, new RunningJob(1, 0));
      this.buryUndecodable(error, error.bytes);
      return;
    }
    this.endTaking();
    if (error instanceof QueueShutDownError) return;
    this.failure ??= { error };
    if (!(error instanceof QueueClosedError)) return;
    // The leases went back with the handle.
    for (const run of this.running) this.endRun(run, error);
  }

  /** No more items; those that wait go back. What runs goes on. */
  private endTaking(): void {
    this.ending = true;
    this.takes.abort(CALLED_OFF);
    for (const held of this.waiting.clear()) this.giveBack(held);
    if (this.suspect !== undefined && this.mode === 'open') {
      this.giveBack(this.suspect);
      this.suspect = undefined;
    }
  }

  /** False: it went to the back of the queue, its time has not come. */
  private admit(held: HeldItem<T>): boolean {
    if (this.ending) {
      this.giveBack(held);
      return true;
    }
    if (held.deliveries > this.options.maxDeliveries) {
      void this.bury(held, deadOnArrival(held), held.deliveries - 1);
      return true;
    }
    if (held.deliveries === 1 && held.crashes === 0) {
      this.ready.push(held);
      return true;
    }
    const pauseMs = held.dueAtMs === undefined ? this.pauseBefore(held) : Math.max(0, held.dueAtMs - Date.now());
    // One suspect at a time: of several in one process, the guilty would take the others along.
    const crowded = pauseMs > 0 && this.waiting.size >= this.waitingPlaces();
    if (crowded || (held.crashes > 0 && this.holdsSuspect)) {
      void this.moveBack(held, pauseMs);
      return false;
    }
    if (pauseMs > 0) this.waiting.add(held, pauseMs);
    else this.due(held);
    return true;
  }

  private pauseBefore(held: HeldItem<T>): number {
    const attempts = held.deliveries - 1;
    let pauseMs: number;
    try {
      pauseMs = this.options.backoffMs(attempts);
    } catch (error) {
      this.report(error, held.item, new RunningJob(held.deliveries, held.crashes));
      pauseMs = defaultBackoffMs(attempts);
    }
    return pauseMs > 0 ? pauseMs : 0;
  }

  private waitingPlaces(): number {
    if (this.maxWaiting === undefined) {
      const { maxsize } = this.queue.descriptor.metadata;
      this.maxWaiting = quarterOf(maxsize);
      // Whoever attached to a queue that was there may not have named its size.
      if (typeof maxsize !== 'number')
        this.queue.stats().then(
          (stats) => (this.maxWaiting = quarterOf(stats.maxsize)),
          () => {},
        );
    }
    return this.maxWaiting;
  }

  private due(held: HeldItem<T>): void {
    if (held.crashes === 0) this.ready.push(held);
    else if (this.suspect === undefined) this.suspect = held;
    else this.waiting.add(held, REST_MS);
    this.advance();
  }

  // ── running ──────────────────────────────────────────────────────────────

  /** As many as one handler gets; what came before comes alone, so that it fails nobody else. */
  private nextItems(): HeldItem<T>[] {
    const { batch = 1 } = this.options;
    let count = 1;
    if (this.ready[0]!.deliveries === 1)
      while (count < batch && count < this.ready.length && this.ready[count]!.deliveries === 1) count++;
    return this.ready.splice(0, count);
  }

  private start(items: HeldItem<T>[]): void {
    const { batch, timeoutMs } = this.options;
    const job = new RunningJob(
      Math.max(...items.map(({ deliveries }) => deliveries)),
      Math.max(...items.map(({ crashes }) => crashes)),
    );
    const run: Run<T> = { items, job, deadline: performance.now() + timeoutMs, over: false };
    this.running.add(run);
    if (timeoutMs !== Infinity && this.running.size === 1) this.timeouts.set(run.deadline);
    let outcome: Awaitable<void>;
    try {
      const given = batch === undefined ? items[0]!.item : items.map(({ item }) => item);
      outcome = traceJob(this.queue.descriptor, job, () => this.handler(given, job));
    } catch (error) {
      this.failed(run, error);
      return;
    }
    if (typeof (outcome as PromiseLike<void> | undefined)?.then !== 'function') {
      this.succeeded(run);
      return;
    }
    (outcome as PromiseLike<void>).then(
      () => {
        this.succeeded(run);
        this.advance();
      },
      (error: unknown) => {
        this.failed(run, error);
        this.advance();
      },
    );
  }

  private leaveRunning(run: Run<T>): boolean {
    if (run.over) return false;
    run.over = true;
    this.running.delete(run);
    return true;
  }

  private succeeded(run: Run<T>): void {
    if (this.leaveRunning(run)) for (const held of run.items) this.acknowledgements.add(held);
  }

  private failed(run: Run<T>, error: unknown): void {
    if (!this.leaveRunning(run)) return;
    for (const held of run.items) {
      this.counts.failed++;
      this.report(error, held.item, run.job);
      if (held.deliveries >= this.options.maxDeliveries || !this.options.retries)
        void this.bury(held, error, held.deliveries);
      else this.giveBack(held);
    }
  }

  private timeOut(): void {
    const now = performance.now();
    for (const run of this.running) {
      if (run.deadline > now) {
        this.timeouts.set(run.deadline);
        break;
      }
      const error = new QueueTimeoutError(
        `The handler took longer than its timeoutMs of ${this.options.timeoutMs} ms.`,
      );
      this.failed(run, error);
      run.job.abort(error);
    }
    this.advance();
  }

  /** The items go back, whatever the handler still does. */
  private endRun(run: Run<T>, reason: unknown): void {
    if (!this.leaveRunning(run)) return;
    for (const held of run.items) this.giveBack(held);
    run.job.abort(reason);
  }

  private endGrace(): void {
    const error = new QueueTimeoutError('The consumer was stopped, and the grace for its handlers is over.');
    for (const run of [...this.running]) this.endRun(run, error);
    this.burials.abort(CALLED_OFF);
    this.advance();
  }

  // ── one alone ────────────────────────────────────────────────────────────

  /** Runs the suspect, and those that come next, while this consumer holds nothing else: a death is then counted to the guilty. */
  private async runAlone(suspect: HeldItem<T>): Promise<void> {
    this.mode = 'emptying';
    const began = performance.now();
    this.takes.abort(CALLED_OFF);
    await this.becomesQuiet();
    for (const held of this.waiting.clear()) if (held !== suspect) void this.moveBack(held, this.pauseBefore(held));
    await this.becomesQuiet();
    this.mode = 'alone';
    const until = performance.now() + Math.max(ALONE_MS, performance.now() - began);
    let held: HeldItem<T> | undefined = suspect;
    while (held !== undefined) {
      this.suspect = undefined;
      if (this.ending) this.giveBack(held);
      else this.start([held]);
      await this.becomesQuiet();
      held = performance.now() < until ? await this.nextAfterAlone() : undefined;
    }
    this.mode = 'open';
    const now = performance.now();
    this.nextAlone = now + OPEN_SHARE * (now - began);
    if (!this.ending) this.takes = new AbortController();
    this.advance();
  }

  /** The next item that may run now; undefined when there is none, or its time has not come. */
  private async nextAfterAlone(): Promise<HeldItem<T> | undefined> {
    if (this.ending) return undefined;
    this.taking = true;
    try {
      for (let looks = 0; looks < LOOKS_ALONE && !this.ending; looks++) {
        const [held] = holdItems<T>(await this.queue.leaseMany(1, { block: false }));
        this.admit(held!);
        const next = this.suspect ?? this.ready.shift();
        if (next !== undefined) return next;
      }
      return undefined;
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code !== 'ERR_QUEUE_EMPTY') this.cannotTake(error);
      return undefined;
    } finally {
      this.taking = false;
    }
  }

  // ── settling ─────────────────────────────────────────────────────────────

  private settle(call: Promise<void>, items: readonly HeldItem<unknown>[]): Promise<boolean> {
    this.settling++;
    return call
      .then(
        () => true,
        (error: unknown) => {
          // Whoever closed the queue knows that its leases went back.
          if (error !== CALLED_OFF && !(this.ending && error instanceof QueueClosedError))
            for (const held of items) this.report(error, held.item as T, new RunningJob(held.deliveries, held.crashes));
          return false;
        },
      )
      .finally(() => {
        this.settling--;
        this.advance();
      });
  }

  private acknowledged(call: Promise<void>, items: readonly HeldItem<unknown>[]): void {
    void this.settle(
      call.then(() => void (this.counts.done += items.length)),
      items,
    );
  }

  private giveBack(held: HeldItem<T>): void {
    void this.settle(held.lease.release(), [held]);
  }

  private async bury(held: HeldItem<T>, error: unknown, deliveries: number): Promise<void> {
    const put = async (): Promise<void> => {
      await this.options.bury?.(held.item, error, { deliveries, crashes: held.crashes, signal: this.burials.signal });
      await held.lease.ack();
      if (this.options.retries) this.counts.dead++;
    };
    // What could not be put comes again, and is tried again after its pause.
    if (!(await this.settle(put(), [held]))) this.giveBack(held);
  }

  /** Nothing is on lease: the queue has removed the item, and gave its bytes with the error. */
  private buryUndecodable(error: SerializationError, bytes: Uint8Array): void {
    const { bury } = this.options;
    if (bury === undefined) return;
    const put = async (): Promise<void> => {
      await bury(bytes as T, error, { deliveries: 1, crashes: 0, signal: this.burials.signal });
      this.counts.dead++;
    };
    void this.settle(put(), []);
  }

  /**
   * Behind everything else, with what is known of it; kept here where that cannot be. A death between its put and its acknowledgement
   * doubles an item, so no other is put before the one in front of it is acknowledged.
   */
  private async moveBack(held: HeldItem<T>, pauseMs: number): Promise<void> {
    const { deliveries, crashes } = held;
    const record = { deliveries: deliveries - 1, crashes, dueAtMs: Date.now() + pauseMs };
    const move = async (): Promise<boolean> => {
      try {
        await (this.queue as Queue).put(recordOf(held.item, record), { block: false });
      } catch (error) {
        if (!isNoRoom(error)) throw error;
        return false;
      }
      await held.lease.ack();
      return true;
    };
    let moved = true;
    const inItsTurn = this.moves.then(move);
    this.moves = inItsTurn.catch(() => {});
    await this.settle(
      inItsTurn.then((done) => void (moved = done)),
      [held],
    );
    if (moved) return;
    if (this.ending) this.giveBack(held);
    else this.waiting.add(held, Math.max(pauseMs, REST_MS));
  }

  /** Once each. */
  private report(error: unknown, item: T, job: Job): void {
    const { onError } = this.options;
    if (onError !== undefined) {
      try {
        onError(error, item, job);
        return;
      } catch (thrown) {
        process.emitWarning(`onError of a consumer threw: ${String(thrown)}`, { code: 'SAGE_QUEUE_ON_ERROR' });
        return;
      }
    }
    if (this.warned) return;
    this.warned = true;
    process.emitWarning(
      `A handler of the queue '${this.queue.descriptor.queueId}' failed: ${String(error)}. Further failures are not shown: give consume() an onError to see each.`,
      { code: 'SAGE_QUEUE_HANDLER_FAILED' },
    );
  }
}

const quarterOf = (maxsize: unknown): number =>
  typeof maxsize === 'number' && maxsize > 0 ? Math.max(1, Math.floor(maxsize / 4)) : WAITING_WITHOUT_BOUND;

/** The queue does not take the record: full, shut down, or not made for such an item. */
const isNoRoom = (error: unknown): boolean =>
  error instanceof QueueFullError || error instanceof QueueShutDownError || error instanceof SerializationError;
