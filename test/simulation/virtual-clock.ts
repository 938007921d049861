/**
 * Time as a test says it is. A clock has the timers alone, and rings them at once; a loop has what else the event loop of Node has, in its
 * order: timers, then what came in from outside, then what was put off with setImmediate, and between any two of them whatever promises and
 * ticks of the process have to do.
 */
import assert from 'node:assert/strict';
import { keepAlive } from '../../lib/wait/keep-alive';
import { Agenda } from './agenda';
import type { Appointment } from './agenda';

class Timer implements Appointment {
  isOff = false;
  /** Keeps the process. */
  isReferenced = true;

  constructor(
    readonly number: number,
    public at: number,
    /** Of an interval; undefined: it rings once. */
    readonly every: number | undefined,
    readonly ring: () => void,
  ) {}

  ref(): this {
    this.isReferenced = true;
    return this;
  }

  unref(): this {
    this.isReferenced = false;
    return this;
  }
}

type Globals = Pick<
  typeof globalThis,
  'setTimeout' | 'clearTimeout' | 'setInterval' | 'clearInterval' | 'setImmediate' | 'clearImmediate'
>;
/** When the clock began, for those who ask the wall. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/** Timers that ring when the test says so, in the order of their times. */
export class VirtualClock {
  now = 0;
  /** Not those that were taken off. */
  armed = 0;
  /** Those that were taken off stay in it until their time. */
  private readonly timers = new Agenda<Timer>();
  private made = 0;
  /** No timer rings sooner. */
  protected readonly shortestMs: number = 0;

  /** Not by spies, which remember every call. @returns what takes it off again */
  install(): () => void {
    const real = this.realGlobals();
    // The one timer that keeps the process for all who wait is made once, and no part of any schedule.
    keepAlive.hold();
    keepAlive.drop();
    const { now } = performance;
    const wallClock = Date.now;
    performance.now = () => this.now;
    Date.now = () => EPOCH_MS + Math.floor(this.now);
    Object.assign(globalThis, this.globals());
    return () => {
      performance.now = now;
      Date.now = wallClock;
      Object.assign(globalThis, real);
    };
  }

  /** Whether something that goes on keeps the process. */
  get isHeld(): boolean {
    return this.timers.some(({ isOff, isReferenced, every }) => !isOff && isReferenced && every !== undefined);
  }

  /** What is due rings now: the loop comes to its timers. */
  turn(): void {
    for (const timer of this.takeDue()) this.ring(timer);
  }

  /** When the next one rings. */
  protected get nextMs(): number {
    while (this.timers.first?.isOff === true) this.timers.take();
    return this.timers.first?.at ?? Infinity;
  }

  /** Those that are due now; what is started or taken off while they ring, `ring` sees to. */
  protected takeDue(): Timer[] {
    const due: Timer[] = [];
    while (this.nextMs <= this.now) due.push(this.timers.take()!);
    return due;
  }

  /** Unless one that rang before it took it off. */
  protected ring(timer: Timer): void {
    if (timer.isOff) return;
    if (timer.every === undefined) this.clear(timer);
    else {
      timer.at = this.now + timer.every;
      this.timers.add(timer);
    }
    timer.ring();
  }

  protected globals(): Partial<Globals> {
    const clear = (timer: unknown): void => this.clear(timer as Timer | undefined);
    return {
      setTimeout: ((ring: (...given: unknown[]) => void, ms: number, ...given: unknown[]) =>
        this.start(given.length === 0 ? ring : () => ring(...given), ms)) as never,
      setInterval: ((ring: () => void, ms: number) => this.start(ring, ms, Math.max(1, ms))) as never,
      clearTimeout: clear,
      clearInterval: clear,
    };
  }

  private realGlobals(): Globals {
    const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;
    return { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate };
  }

  private start(ring: () => void, ms: number, every?: number): Timer {
    const timer = new Timer(this.made++, this.now + Math.max(this.shortestMs, ms), every, ring);
    this.timers.add(timer);
    this.armed++;
    return timer;
  }

  private clear(timer: Timer | undefined): void {
    if (!(timer instanceof Timer) || timer.isOff) return;
    timer.isOff = true;
    this.armed--;
  }
}

const realImmediate = setImmediate;

/** Whatever promises and ticks of the process have to do is done: a tick that is asked for now comes when no promise has anything to do. */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** The same, and Node has said of each rejection that nobody listens to it; it costs a turn of the real loop. */
export const settledForGood = (): Promise<void> => new Promise((resolve) => void realImmediate(resolve));

/** In so many turns nobody may be found listening to a rejection. */
const TURNS_BETWEEN_LOOKS = 8;

interface Immediate {
  readonly later: () => void;
  isOff: boolean;
}

interface Arrival extends Appointment {
  readonly handle: () => void;
}

/** A whole event loop. What comes in from outside is put in with `arrive`. */
export class VirtualLoop extends VirtualClock {
  protected override readonly shortestMs = 1;
  private readonly arrivals = new Agenda<Arrival>();
  private arrived = 0;
  private immediates: Immediate[] = [];
  private turns = 0;

  /** All that a schedule had begins anew; nothing of the one before may be left. */
  reset(): void {
    assert.equal(this.armed + this.pending, 0, 'nothing is left of the schedule before');
    this.now = 0;
    this.turns = 0;
  }

  /** What is not over: arrivals, and what waits for the end of this turn. */
  get pending(): number {
    return this.arrivals.size + this.immediates.length;
  }

  /** `handle` is called at that time, or when the loop comes to it; what comes at one time comes in the order of these calls. */
  arrive(at: number, handle: () => void): void {
    this.arrivals.add({ at, number: this.arrived++, handle });
  }

  /** One turn of the loop at this time. */
  async whole(): Promise<void> {
    await (this.turns++ % TURNS_BETWEEN_LOOKS === 0 ? settledForGood() : settled());
    for (const timer of this.takeDue()) {
      this.ring(timer);
      await settled();
    }
    while (this.isDue(this.arrivals.first)) {
      this.arrivals.take()!.handle();
      await settled();
    }
    for (const immediate of this.immediates.splice(0)) {
      if (immediate.isOff) continue;
      immediate.later();
      await settled();
    }
  }

  /** Until nothing more is to be done at this time. @throws after so many turns */
  async idle(most = 1000): Promise<void> {
    for (let turns = 0; turns < most; turns++) {
      await this.whole();
      if (this.immediates.length === 0 && !this.isDue(this.arrivals.first) && this.nextMs > this.now) return;
    }
    throw new Error(`the loop finds something to do at ${this.now} ms after ${most} turns`);
  }

  /** What the promise brings, which may need turns of the loop and no time. */
  async outcome<R>(promise: Promise<R>): Promise<R> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    promise.then(over, over);
    for (let turns = 0; !isOver && turns < 100; turns++) await this.whole();
    if (!isOver) throw new Error(`a promise is open at ${this.now} ms after 100 turns`);
    return promise;
  }

  /** From one thing to the next, without any lateness, until `to` ms. @param done looked at before each; true ends it */
  async advance(to: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      await this.idle();
      if (done()) return;
      const next = Math.min(this.arrivals.first?.at ?? Infinity, this.nextMs);
      if (next > to) break;
      this.now = Math.max(this.now, next);
    }
    this.now = Math.max(this.now, to === Infinity ? this.now : to);
  }

  protected override globals(): Partial<Globals> {
    return {
      ...super.globals(),
      setImmediate: ((later: (...given: unknown[]) => void, ...given: unknown[]) => {
        const immediate: Immediate = { later: () => later(...given), isOff: false };
        this.immediates.push(immediate);
        return immediate;
      }) as never,
      clearImmediate: ((immediate: Immediate) => {
        immediate.isOff = true;
        this.immediates = this.immediates.filter((other) => other !== immediate);
      }) as never,
    };
  }

  private isDue(arrival: Arrival | undefined): boolean {
    return arrival !== undefined && arrival.at <= this.now;
  }
}
