/**
 * Time as a test says it is. A clock has the timers alone, and rings them at once; a loop has what else the event loop of Node has, in its
 * order: timers, then what came in from outside, then what was put off with setImmediate, and between any two of them whatever promises and
 * ticks of the process have to do.
 */
import { keepAlive } from '../../lib/wait/keep-alive';

interface Timer {
  readonly number: number;
  at: number;
  /** Of an interval; undefined: it rings once. */
  readonly every: number | undefined;
  readonly ring: () => void;
  ref(): Timer;
  unref(): Timer;
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
  protected readonly timers = new Set<Timer>();
  private made = 0;
  /** No timer rings sooner. */
  protected readonly shortestMs: number = 0;

  get armed(): number {
    return this.timers.size;
  }

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

  /** What is due rings now: the loop comes to its timers. */
  turn(): void {
    for (const timer of this.due()) this.ring(timer);
  }

  protected due(): Timer[] {
    if (this.timers.size === 0) return [];
    const due = [...this.timers].filter(({ at }) => at <= this.now);
    return due.sort((one, other) => one.at - other.at || one.number - other.number);
  }

  /** Unless one that rang before it took it off. */
  protected ring(timer: Timer): void {
    if (!this.timers.has(timer)) return;
    if (timer.every === undefined) this.timers.delete(timer);
    else timer.at = this.now + timer.every;
    timer.ring();
  }

  protected globals(): Partial<Globals> {
    const clear = (timer: unknown): void => void this.timers.delete(timer as Timer);
    return {
      setTimeout: ((ring: (...given: unknown[]) => void, ms: number, ...given: unknown[]) =>
        this.start(() => ring(...given), ms)) as never,
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
    const timer: Timer = {
      number: this.made++,
      at: this.now + Math.max(this.shortestMs, ms),
      every,
      ring,
      ref: () => timer,
      unref: () => timer,
    };
    this.timers.add(timer);
    return timer;
  }
}

const realImmediate = setImmediate;

/** Whatever promises and ticks of the process have to do is done. */
export const settled = (): Promise<void> => new Promise((resolve) => void realImmediate(resolve));

/** A whole event loop. What comes in from outside is put in with `arrive`. */
export class VirtualLoop extends VirtualClock {
  protected override readonly shortestMs = 1;
  private arrivals: { at: number; handle: () => void }[] = [];
  private immediates: (() => void)[] = [];

  /** What is not over: arrivals, and what waits for the end of this turn. */
  get pending(): number {
    return this.arrivals.length + this.immediates.length;
  }

  /** `handle` is called at that time, or when the loop comes to it; what comes at one time comes in the order of these calls. */
  arrive(at: number, handle: () => void): void {
    let place = this.arrivals.length;
    while (place > 0 && this.arrivals[place - 1]!.at > at) place--;
    this.arrivals.splice(place, 0, { at, handle });
  }

  /** One turn of the loop at this time. */
  async whole(): Promise<void> {
    await settled();
    for (const timer of this.due()) {
      this.ring(timer);
      await settled();
    }
    while (this.arrivals.length > 0 && this.arrivals[0]!.at <= this.now) {
      this.arrivals.shift()!.handle();
      await settled();
    }
    for (const immediate of this.immediates.splice(0)) {
      immediate();
      await settled();
    }
  }

  /** Until nothing more is to be done at this time. @throws after so many turns */
  async idle(most = 1000): Promise<void> {
    for (let turns = 0; turns < most; turns++) {
      await this.whole();
      const due = this.arrivals[0]?.at ?? Infinity;
      if (this.immediates.length === 0 && due > this.now && this.due().length === 0) return;
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
      let next = this.arrivals[0]?.at ?? Infinity;
      for (const { at } of this.timers) next = Math.min(next, at);
      if (next > to) break;
      this.now = Math.max(this.now, next);
    }
    this.now = Math.max(this.now, to === Infinity ? this.now : to);
  }

  protected override globals(): Partial<Globals> {
    return {
      ...super.globals(),
      setImmediate: ((later: (...given: unknown[]) => void, ...given: unknown[]) => {
        const immediate = (): void => later(...given);
        this.immediates.push(immediate);
        return immediate;
      }) as never,
      clearImmediate: ((immediate: () => void) => {
        this.immediates = this.immediates.filter((other) => other !== immediate);
      }) as never,
    };
  }
}
