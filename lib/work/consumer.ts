/**
 * The loop around leases. Every item of the queue that is in this process is in exactly one place: `ready` (its handler starts as soon as
 * a place is free), running, in the waiting room, the `suspect`, or being settled (an end of its lease is under way).
 *
 * A failed attempt is recorded by giving the item back at once: the queue counts its deliveries, and whoever leases it next, here or
 * elsewhere, sees that it came before and lets it pause first. Nothing about an item is known to this process alone.
 */
import { refuseUnknown } from '../util/known-options';
import { asyncDispose } from '../util/dispose';
import { QueueClosedError, QueueShutDownError, QueueTimeoutError, SerializationError } from '../errors';
import type { Awaitable, Queue, WaitOptions } from '../queue/types';
import { onAbort } from '../wait/abort-listeners';
import { Alarm } from '../wait/deadline';
import { isTurnOver, nextTurn } from '../wait/fairness';
import { deadOnArrival } from './dead-letter';
import { FailureReports } from './failure-reports';
import { HandlerRuns } from './handler-runs';
import type { Run } from './handler-runs';
import { holdItems } from './held-items';
import type { HeldItem } from './held-items';
import { defaultBackoffMs } from './options';
import type { WorkOptions } from './options';
import { RunningJob } from './running-job';
import { CALLED_OFF, Settlements } from './settlements';
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

export type Handler<T> = (item: T, job: Job) => Awaitable<void>;

export class QueueConsumer<T> implements Consumer {
  readonly done: Promise<void>;

  private ready: HeldItem<T>[] = [];
  private readonly running: HandlerRuns<T>;
  private readonly waiting = new WaitingRoom<T>((held) => this.due(held));
  /** The one item here that was in a crash and whose pause is over; it runs when nothing else does. */
  private suspect: HeldItem<T> | undefined;
  private readonly settlements: Settlements<T>;
  private readonly reports: FailureReports<T>;
  private failed = 0;

  /** alone: a suspect runs, or is about to once everything else has ended. */
  private mode: 'open' | 'emptying' | 'alone' = 'open';
  private taking = false;
  private takes = takesUntilAborted();
  private readonly rest = new Alarm(Infinity, () => this.advance(), true);
  private wake = Infinity;
  private restUntil = 0;
  private nextAlone = 0;
  private readonly grace = new Alarm(Infinity, () => this.endGrace(), true);
  private readonly quiet: (() => void)[] = [];

  private ending = false;
  private over = false;
  private failure: { error: unknown } | undefined;
  private maxWaiting: number | undefined;
  private resolveDone!: () => void;
  private rejectDone!: (error: unknown) => void;
  private readonly forgetSignal: () => void;

  constructor(
    private readonly queue: Queue<T>,
    handler: (item: T | T[], job: Job) => Awaitable<void>,
    private readonly options: WorkOptions<T>,
  ) {
    this.maxWaiting = options.maxWaiting;
    this.reports = new FailureReports(queue.descriptor, options.onError);
    this.running = new HandlerRuns(queue.descriptor, handler, options, {
      succeeded: ({ items }) => this.settlements.acknowledge(items),
      failed: (run, error) => this.attemptFailed(run, error),
      broken: ({ items }) => items.forEach((held) => this.settlements.requeue(held)),
      changed: () => this.advance(),
    });
    this.settlements = new Settlements(queue, options, this.reports, {
      isEnding: () => this.ending,
      keep: (held, pauseMs) => this.waiting.add(held, Math.max(pauseMs, REST_MS)),
      changed: () => this.advance(),
    });
    this.done = new Promise((resolve, reject) => {
      this.resolveDone = resolve;
      this.rejectDone = reject;
    });
    this.forgetSignal = onAbort(options.signal, () => void this.stop());
    this.advance();
  }

  stats(): ConsumerStats {
    const { done, dead } = this.settlements;
    return { active: this.running.size, done, failed: this.failed, dead, waitingRetry: this.waiting.size };
  }

  async stop(options: { graceMs?: number } = {}): Promise<void> {
    refuseUnknown(options, ['graceMs']);
    const { graceMs = DEFAULT_GRACE_MS } = options;
    if (!(graceMs >= 0)) throw new RangeError(`graceMs must be 0 or more milliseconds, found ${graceMs}.`);
    this.endTaking();
    this.settlements.giveBack(this.ready.splice(0));
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
      while (this.ready.length > 0 && this.running.size < this.options.concurrency)
        this.running.start(this.nextItems());
    if (this.isQuiet) for (const resume of this.quiet.splice(0)) resume();
    let wake = Infinity;
    if (this.suspect !== undefined && this.mode === 'open' && !this.ending) {
      if (isPast(this.nextAlone)) void this.runAlone(this.suspect);
      else wake = this.nextAlone;
    }
    if (this.mayTake) {
      if (isPast(this.restUntil)) void this.take();
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
      this.settlements.isQuiet &&
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
    for (const alarm of [this.rest, this.running, this.grace]) alarm.cancel();
    this.forgetSignal();
    if (this.failure === undefined) this.resolveDone();
    else this.rejectDone(this.failure.error);
  }

  // ── taking ───────────────────────────────────────────────────────────────

  private async take(): Promise<void> {
    this.taking = true;
    try {
      const places = this.options.concurrency - this.running.size;
      const items = await this.lease(places * (this.options.batch ?? 1), { signal: this.takes.signal });
      let moved = 0;
      for (const held of items) if (!this.admit(held)) moved++;
      this.restUntil = moved === items.length ? performance.now() + REST_MS : 0;
      this.advance();
      // Other consumers of this process, timers and sockets have their turn too.
      if (isTurnOver(items.length)) await nextTurn();
    } catch (error) {
      this.cannotTake(error);
    }
    this.taking = false;
    this.advance();
  }

  /** None when the consumer came to its end meanwhile. */
  private async lease(max: number, options: WaitOptions): Promise<HeldItem<T>[]> {
    const items = holdItems<T>(await this.queue.leaseMany(max, options));
    if (!this.ending) return items;
    this.settlements.giveBack(items);
    return [];
  }

  private cannotTake(error: unknown): void {
    if (error === CALLED_OFF) return;
    if (error instanceof SerializationError && error.bytes !== undefined) {
      // It is out of the queue, and this is all that is left of it.
      this.failed++;
      this.reports.tell(error, error.bytes as T, new RunningJob(1, 0));
      this.settlements.buryUndecodable(error, error.bytes);
      return;
    }
    this.endTaking();
    if (error instanceof QueueShutDownError) return;
    this.failure ??= { error };
    if (!(error instanceof QueueClosedError)) return;
    // The leases went back with the handle.
    this.running.breakAll(error);
  }

  /** No more items; those that wait go back. What runs goes on. */
  private endTaking(): void {
    this.ending = true;
    this.takes.abort(CALLED_OFF);
    this.settlements.giveBack(this.waiting.clear());
    // Otherwise `runAlone` sees to it.
    if (this.mode === 'open') this.giveBackSuspect();
  }

  private giveBackSuspect(): void {
    if (this.suspect === undefined) return;
    this.settlements.giveBack([this.suspect]);
    this.suspect = undefined;
  }

  /** False: it went to the back of the queue, its time has not come. */
  private admit(held: HeldItem<T>): boolean {
    if (held.deliveries > this.options.maxDeliveries) {
      void this.settlements.bury(held, deadOnArrival(held), held.deliveries - 1);
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
      void this.settlements.moveBack(held, pauseMs);
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
      this.reports.tell(error, held.item, new RunningJob(held.deliveries, held.crashes));
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

  private attemptFailed({ items, job }: Run<T>, error: unknown): void {
    for (const held of items) {
      this.failed++;
      this.reports.tell(error, held.item, job);
      if (held.deliveries >= this.options.maxDeliveries || !this.options.retries)
        void this.settlements.bury(held, error, held.deliveries);
      else this.settlements.requeue(held);
    }
  }

  private endGrace(): void {
    const error = new QueueTimeoutError('The consumer was stopped, and the grace for its handlers is over.');
    this.running.breakAll(error);
    this.settlements.callOffBurials();
    this.advance();
  }

  // ── one alone ────────────────────────────────────────────────────────────

  /** Runs the suspect, and those that come next, while this consumer holds nothing else: a death is then counted to the guilty. */
  private async runAlone(suspect: HeldItem<T>): Promise<void> {
    this.mode = 'emptying';
    const began = performance.now();
    this.takes.abort(CALLED_OFF);
    await this.becomesQuiet();
    for (const held of this.waiting.clear())
      if (held !== suspect) void this.settlements.moveBack(held, this.pauseBefore(held));
    await this.becomesQuiet();
    this.mode = 'alone';
    const until = performance.now() + Math.max(ALONE_MS, performance.now() - began);
    let held: HeldItem<T> | undefined = suspect;
    while (held !== undefined) {
      this.suspect = undefined;
      if (this.ending) this.settlements.giveBack([held]);
      else this.running.start([held]);
      await this.becomesQuiet();
      held = performance.now() < until ? await this.nextAfterAlone() : undefined;
    }
    this.mode = 'open';
    const now = performance.now();
    this.nextAlone = now + OPEN_SHARE * (now - began);
    // The pause of another may have ended meanwhile.
    if (this.ending) this.giveBackSuspect();
    else this.takes = takesUntilAborted();
    this.advance();
  }

  /** The next item that may run now; undefined when there is none, or its time has not come. */
  private async nextAfterAlone(): Promise<HeldItem<T> | undefined> {
    if (this.ending) return undefined;
    this.taking = true;
    try {
      for (let looks = 0; looks < LOOKS_ALONE && !this.ending; looks++) {
        const [held] = await this.lease(1, { block: false });
        if (held === undefined) return undefined;
        this.admit(held);
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
}

/** 0 is always past, and costs no look at the clock: most items come while nothing is to be waited for. */
const isPast = (pointMs: number): boolean => pointMs === 0 || performance.now() >= pointMs;

/** With a listener for as long as it lasts: otherwise each call would put one on the signal and take it off again. */
function takesUntilAborted(): AbortController {
  const takes = new AbortController();
  onAbort(takes.signal, () => {});
  return takes;
}

const quarterOf = (maxsize: unknown): number =>
  typeof maxsize === 'number' && maxsize > 0 ? Math.max(1, Math.floor(maxsize / 4)) : WAITING_WITHOUT_BOUND;
