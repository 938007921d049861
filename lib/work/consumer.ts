/**
 * The loop around leases. Every item of the queue that is in this process is in exactly one place: `ready` (its handler starts as soon as
 * a place is free), running, in the waiting room, among the suspects, about to run alone, or being settled (an end of its lease is under way).
 *
 * A failed attempt is recorded by giving the item back at once: the queue counts its deliveries, and whoever leases it next, here or
 * elsewhere, sees that it came before and lets it pause first. Nothing about an item is known to this process alone.
 *
 * Past 400 lines: all of it changes one state, and a part of that elsewhere would have to call back for each change.
 */
import { refuseUnknown } from '../util/known-options';
import { asyncDispose } from '../util/dispose';
import { onHandleEnd, onLeasesLost } from '../queue/handle-end';
import type { EndingHandle } from '../queue/handle-end';
import { QueueClosedError, QueueShutDownError, QueueTimeoutError, SerializationError } from '../errors';
import type { Awaitable, LeaseBatch, Queue, WaitOptions } from '../queue/types';
import { onAbort } from '../wait/abort-listeners';
import { Alarm } from '../wait/deadline';
import { isTurnOver, nextTurn } from '../wait/fairness';
import { readMilliseconds } from '../wait/options';
import { FailureReports } from './failure-reports';
import { HandlerRuns } from './handler-runs';
import type { Run } from './handler-runs';
import { goesBack, holdItems, isFresh, putAside } from './held-items';
import type { HeldItem } from './held-items';
import type { WorkOptions } from './options';
import { Pauses } from './pauses';
import { RunningJob } from './running-job';
import { Settlements } from './settlements';
import { CALLED_OFF, Takes } from './takes';
import { TurnsAlone } from './turns-alone';
import type { Consumer, ConsumerStats, Job } from './types';
import { WaitingPlaces } from './waiting-places';
import { WaitingRoom } from './waiting-room';

const DEFAULT_GRACE_MS = 10_000;
/** Between two looks at a queue that had nothing but items whose time has not come. */
const REST_MS = 5;
/** A suspect whose pause is over stays here so long, in case this consumer may run it, before another one gets it. */
const PASS_ON_MS = 20;
/** Once everything else has ended, suspects go on one after the other for at least so long. */
const ALONE_MS = 300;
/** Those that others hold come by within this time. */
const NEXT_SUSPECT_MS = 2 * PASS_ON_MS;
/** Items looked through at once for a suspect. */
const LOOKED_THROUGH = 64;
/** So many looks after one another that find good items lying there: nobody else takes them. */
const MOST_FRUITLESS_LOOKS = 3;

export type Handler<T> = (item: T, job: Job) => Awaitable<void>;

export class QueueConsumer<T> implements Consumer {
  readonly done: Promise<void>;

  private ready: HeldItem<T>[] = [];
  private readonly running: HandlerRuns<T>;
  private readonly waiting = new WaitingRoom<T>((held) => this.due(held));
  /** Items that were in a crash and whose pause is over: one of them runs when nothing else does. */
  private readonly suspects = new WaitingRoom<T>((held) => this.passOn(held));
  private readonly alone = new TurnsAlone();
  private readonly settlements: Settlements<T>;
  private readonly reports: FailureReports<T>;
  private readonly pauses: Pauses<T>;
  private readonly places: WaitingPlaces;
  private failed = 0;

  /** alone: a suspect runs, or is about to once everything else has ended. */
  private mode: 'open' | 'emptying' | 'alone' = 'open';
  private taking = false;
  private readonly takes = new Takes();
  private readonly rest = new Alarm(Infinity, () => this.advance(), true);
  private wake = Infinity;
  private restUntil = 0;
  private readonly grace = new Alarm(Infinity, () => this.endGrace(), true);
  private graceEndsMs = Infinity;
  private readonly quiet: (() => void)[] = [];

  private ending = false;
  /** The queue was shut down and has no more, and nobody stops this consumer: what its queue does not take back is done here. */
  private draining = false;
  private over = false;
  private failure: { error: unknown } | undefined;
  private resolveDone!: () => void;
  private rejectDone!: (error: unknown) => void;
  /** What it listens to. */
  private readonly listened: (() => void)[] = [];

  constructor(
    private readonly queue: Queue<T>,
    handler: (item: T | T[], job: Job) => Awaitable<void>,
    private readonly options: WorkOptions<T>,
  ) {
    this.places = new WaitingPlaces(queue, options.maxWaiting);
    this.reports = new FailureReports(queue.descriptor, options.onError);
    this.pauses = new Pauses(options.backoffMs, this.reports);
    this.running = new HandlerRuns(queue.descriptor, handler, options, {
      succeeded: ({ items }) => this.settlements.acknowledge(items),
      failed: (run, error) => this.attemptFailed(run, error),
      broken: ({ items }) => items.forEach((held) => this.settlements.requeue(held)),
      changed: () => this.advance(),
    });
    this.settlements = new Settlements(queue, options, this.reports, this.pauses, {
      isEnding: () => this.ending,
      mayKeep: (held) => this.mayKeep(held),
      keep: (held, pauseMs) => this.keep(held, pauseMs),
      changed: () => this.advance(),
    });
    this.done = new Promise((resolve, reject) => {
      this.resolveDone = resolve;
      this.rejectDone = reject;
    });
    this.listenTo(queue as Partial<EndingHandle>);
    this.listened.push(onAbort(options.signal, () => void this.stop()));
    this.advance();
  }

  private listenTo({ [onHandleEnd]: onEnd, [onLeasesLost]: onLost }: Partial<EndingHandle>): void {
    const { queue } = this;
    if (onEnd !== undefined) this.listened.push(onEnd.call(queue, (reason) => this.handleEnded(reason)));
    if (onLost === undefined) return;
    const forget = onLost.call(queue, (reason) => {
      this.breakOff(reason);
      this.advance();
    });
    this.listened.push(forget);
  }

  stats(): ConsumerStats {
    const { done, dead } = this.settlements;
    return {
      active: this.running.size,
      done,
      failed: this.failed,
      dead,
      waitingRetry: this.waiting.size + this.suspects.size,
    };
  }

  async stop(options?: { graceMs?: number }): Promise<void> {
    refuseUnknown(options ?? {}, ['graceMs']);
    const graceMs = readMilliseconds('graceMs', options?.graceMs) ?? DEFAULT_GRACE_MS;
    this.draining = false;
    this.endTaking();
    this.settlements.giveBack(this.ready.splice(0));
    const endsMs = performance.now() + graceMs;
    // What was promised to one who stops it holds beside another one with more time, and there is no more to wait for at the end.
    if (!this.over && endsMs < this.graceEndsMs) this.grace.set((this.graceEndsMs = endsMs));
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
    let wake = this.beginAlone();
    if (this.mode === 'open')
      while (this.ready.length > 0 && this.running.size < this.options.concurrency)
        this.running.start(this.nextItems());
    // What waits for a place has been begun with by nobody. Those in front were put aside when they began to wait.
    for (let last = this.ready.length - 1; last >= 0 && !this.ready[last]!.aside; last--) putAside(this.ready[last]!);
    if (this.quiet.length > 0 && this.isQuiet) for (const resume of this.quiet.splice(0)) resume();
    if (this.mayTake) {
      if (isPast(this.restUntil)) void this.take();
      else wake = Math.min(wake, this.restUntil);
    }
    if (wake !== this.wake) this.rest.set((this.wake = wake));
    if (this.ending && this.mode === 'open' && this.isQuiet && this.waiting.size + this.suspects.size === 0)
      this.finish();
  }

  /** Nothing runs, or is about to. */
  private get isQuiet(): boolean {
    return (
      this.running.size === 0 &&
      (this.ready.length === 0 || this.mode !== 'open') &&
      this.settlements.isQuiet &&
      !this.taking
    );
  }

  private get mayTake(): boolean {
    if (this.ending || this.taking || this.mode !== 'open' || this.ready.length > 0) return false;
    return this.running.size < this.options.concurrency;
  }

  /** @returns false if it does not by then */
  private becomesQuiet(latestMs = Infinity): Promise<boolean> {
    return new Promise((resolve) => {
      const late = new Alarm(latestMs, () => resolve(false), true);
      this.quiet.push(() => {
        late.cancel();
        resolve(true);
      });
      this.advance();
    });
  }

  private finish(): void {
    this.over = true;
    for (const alarm of [this.rest, this.running, this.grace]) alarm.cancel();
    for (const forget of this.listened) forget();
    this.options.ended?.(this.failure);
    if (this.failure === undefined) this.resolveDone();
    else this.rejectDone(this.failure.error);
  }

  // ── taking ───────────────────────────────────────────────────────────────

  private async take(): Promise<void> {
    this.taking = true;
    try {
      const places = this.options.concurrency - this.running.size;
      const batch = await this.queue.leaseMany(places * (this.options.batch ?? 1), { signal: this.takes.signal });
      const items = this.hold(batch);
      let moved = 0;
      for (const held of items) if (!this.admit(held)) moved++;
      this.restUntil = moved === items.length ? performance.now() + REST_MS : 0;
      this.advance();
      // Other consumers of this process, timers and sockets have their turn too; and handlers that are done at once are done before more is taken.
      await (isTurnOver(items.length) ? nextTurn() : undefined);
    } catch (error) {
      this.cannotTake(error);
    }
    this.taking = false;
    this.advance();
  }

  /** What was leased; none of it when the consumer came to its end meanwhile. */
  private hold(batch: LeaseBatch<unknown>): HeldItem<T>[] {
    const items = holdItems<T>(batch);
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
    const isShutDown = error instanceof QueueShutDownError;
    this.draining ||= isShutDown && !this.ending;
    this.endTaking();
    if (isShutDown) return;
    this.failure ??= { error };
    if (error instanceof QueueClosedError) this.breakOff(error);
  }

  /** While all places are taken, no call would hear of it. */
  private handleEnded(reason: Error): void {
    if (!(reason instanceof QueueClosedError)) return;
    if (this.ending) this.breakOff(reason);
    else this.cannotTake(reason);
    this.advance();
  }

  /** All that was on lease has gone back: what runs is told, what waits comes again. */
  private breakOff(reason: Error): void {
    this.giveBackWaiting();
    this.settlements.giveBack(this.ready.filter(goesBack));
    this.ready = this.ready.filter((held) => !goesBack(held));
    this.running.breakAll(reason);
    this.settlements.burials.callOff(goesBack);
  }

  /** No more items; those that wait go back. What runs goes on. */
  private endTaking(): void {
    this.ending = true;
    this.takes.callOff();
    this.giveBackWaiting();
  }

  private giveBackWaiting(): void {
    this.settlements.giveBack([...this.waiting.clear(), ...this.suspects.clear()].map(({ held }) => held));
  }

  /** False: it went back to the queue, its time has not come. */
  private admit(held: HeldItem<T>): boolean {
    if (this.mode !== 'open') {
      this.settlements.giveBack([held]);
      return false;
    }
    if (isFresh(held)) {
      this.ready.push(held);
      return true;
    }
    const pauseMs = this.pauseOf(held);
    if (pauseMs > 0 && this.waiting.size >= this.places.count()) {
      this.settlements.moveBack(held, pauseMs);
      return false;
    }
    if (pauseMs > 0) this.waiting.add(held, pauseMs);
    else this.due(held);
    return true;
  }

  /** What is left of it. One that only waits for its burial pauses in any case: what did not take it a moment ago may not do so now. */
  private pauseOf(held: HeldItem<T>): number {
    return this.pauses.before(held, this.hadItsAttempts(held) ? REST_MS : 0);
  }

  /** True: it has had its attempts, and is buried. */
  private isDead(held: HeldItem<T>): boolean {
    if (!this.hadItsAttempts(held)) return false;
    this.settlements.buryOnArrival(held);
    return true;
  }

  private hadItsAttempts({ deliveries, origin }: HeldItem<T>): boolean {
    return deliveries > this.options.maxDeliveries || origin.undecodable !== undefined;
  }

  private due(held: HeldItem<T>): void {
    if (this.isDead(held)) return;
    if (held.crashes > 0) {
      this.suspect(held);
    } else if (this.mode === 'open') this.ready.push(held);
    else this.settlements.moveBack(held, 0);
    this.advance();
  }

  private suspect(held: HeldItem<T>): void {
    this.suspects.add(held, PASS_ON_MS);
    this.alone.isWanted();
  }

  /** For another consumer, which may be about to run suspects. A record tells it that the pause of this one is over. */
  private passOn(held: HeldItem<T>): void {
    if (held.dueAtMs === undefined) this.settlements.moveBack(held, 0);
    else this.settlements.giveBack([held]);
  }

  private mayKeep(held: HeldItem<T>): boolean {
    return !this.ending || (this.draining && !goesBack(held));
  }

  /** An item that its queue does not take. One that could not be buried either is tried again, as all that fails, after a pause. */
  private keep(held: HeldItem<T>, pauseMs: number): void {
    if (pauseMs > 0 || this.hadItsAttempts(held)) this.waiting.add(held, Math.max(pauseMs, REST_MS));
    else if (held.crashes === 0) this.ready.push(held);
    else if (this.mode === 'open' || !goesBack(held)) this.suspect(held);
    else this.settlements.giveBack([held]);
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
        this.settlements.bury(held, error, held.deliveries);
      else this.settlements.requeue(held);
    }
  }

  private endGrace(): void {
    const error = new QueueTimeoutError('The consumer was stopped, and the grace for its handlers is over.');
    this.running.breakAll(error);
    this.settlements.burials.end();
    // A get of somebody's own that heeds no signal: what it brings goes back.
    this.taking = false;
    this.advance();
  }

  // ── one alone ────────────────────────────────────────────────────────────

  /** Begins to, where there is a suspect and its time has come. @returns when to look again */
  private beginAlone(): number {
    if (this.suspects.size === 0 || this.mode !== 'open' || (this.ending && !this.draining)) return Infinity;
    const beginsMs = this.alone.beginsMs(this.running.oldestMs);
    if (!isPast(beginsMs)) return beginsMs;
    void this.runAlone(this.suspects.takeFirst()!);
    return Infinity;
  }

  /**
   * Runs the suspect, and those that come next, while this consumer holds nothing else: a death is then counted to the guilty. What it held
   * and had not begun is there for the other consumers at once.
   */
  private async runAlone(suspect: HeldItem<T>): Promise<void> {
    this.mode = 'emptying';
    const began = performance.now();
    const latestMs = this.alone.begins();
    this.takes.callOff();
    for (const held of this.ready.splice(0))
      if (isFresh(held)) this.settlements.giveBack([held]);
      else this.settlements.moveBack(held, 0);
    if (await this.becomesQuiet(latestMs)) {
      await this.letGo();
      this.mode = 'alone';
      await this.runSuspects(suspect, Math.max(ALONE_MS, performance.now() - began));
      this.mode = 'open';
    } else {
      this.mode = 'open';
      if (this.ending) this.settlements.giveBack([suspect]);
      else this.suspect(suspect);
    }
    this.alone.ended(began);
    if (!this.ending) this.takes.goOn();
    this.advance();
  }

  /** Of everything that pauses, and of the other suspects. */
  private async letGo(): Promise<void> {
    for (const { held, pauseMs } of this.waiting.clear()) this.settlements.moveBack(held, pauseMs);
    for (const { held } of this.suspects.clear()) this.passOn(held);
    await this.becomesQuiet();
  }

  private async runSuspects(first: HeldItem<T>, forMs: number): Promise<void> {
    if (!this.ending) this.takes.goOn();
    const until = performance.now() + forMs;
    for (let held: HeldItem<T> | undefined = first; held !== undefined; held = await this.nextAlone(until)) {
      if (!this.mayKeep(held)) this.settlements.giveBack([held]);
      else this.running.start([held]);
      await this.becomesQuiet();
      // A look that leaves traces would take the items out of their order.
      if (!goesBack(held)) return;
    }
  }

  /** The next suspect that may run; everything else that lies there goes back untouched. Undefined: none comes by. */
  private async nextAlone(until: number): Promise<HeldItem<T> | undefined> {
    let fruitless = 0;
    const latest = Math.min(until, performance.now() + NEXT_SUSPECT_MS);
    while (!this.ending && performance.now() < latest && fruitless < MOST_FRUITLESS_LOOKS) {
      const timeoutMs = latest - performance.now();
      const found = await this.lookThrough(fruitless > 0 ? { block: false } : { timeoutMs });
      if (found.suspect !== undefined) return found.suspect;
      fruitless = found.others > 0 ? fruitless + 1 : 0;
      await new Promise<void>((resolve) => new Alarm(performance.now() + REST_MS, resolve, true));
    }
    return undefined;
  }

  private async lookThrough(options: WaitOptions): Promise<{ suspect?: HeldItem<T>; others: number }> {
    this.taking = true;
    const others: HeldItem<T>[] = [];
    let suspect: HeldItem<T> | undefined;
    try {
      const batch = await this.queue.leaseMany(LOOKED_THROUGH, { ...options, signal: this.takes.signal });
      for (const held of this.hold(batch)) {
        const isWanted = this.hadItsAttempts(held) || (suspect === undefined && held.crashes > 0);
        if (!isWanted || this.pauseOf(held) > 0) others.push(held);
        else if (!this.isDead(held)) suspect = held;
      }
    } catch (error) {
      if ((error as { code?: unknown } | null)?.code !== 'ERR_QUEUE_EMPTY') this.cannotTake(error);
    }
    this.settlements.giveBack(others);
    this.taking = false;
    await this.becomesQuiet();
    return { ...(suspect === undefined ? {} : { suspect }), others: others.length };
  }
}

/** 0 is always past, and costs no look at the clock: most items come while nothing is to be waited for. */
const isPast = (pointMs: number): boolean => pointMs === 0 || performance.now() >= pointMs;
