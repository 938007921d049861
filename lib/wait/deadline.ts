/** The one reading of `WaitOptions`, and timers and abort listeners that leave nothing behind. */
import { describeValue } from '../descriptor/metadata';
import type { WaitOptions } from '../queue/types';

/** Node turns a longer delay into 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Wait {
  /** 0: do not wait. Infinity: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const FOR_EVER: Wait = { timeoutMs: Infinity, signal: undefined };

/** @throws RangeError for a negative or NaN timeout, TypeError for other types; the signal's reason when it has fired already. */
export function readWait(options: WaitOptions | undefined): Wait {
  if (options === undefined || options === null) return FOR_EVER;
  if (typeof options !== 'object') {
    throw new TypeError(`The options of a call are { block, timeoutMs, signal }, found ${describeValue(options)}.`);
  }
  const { block, timeoutMs, signal } = options;
  if (timeoutMs !== undefined && timeoutMs !== null) {
    if (typeof timeoutMs !== 'number')
      throw new TypeError(`timeoutMs must be a number of milliseconds, found ${describeValue(timeoutMs)}.`);
    if (!(timeoutMs >= 0)) {
      throw new RangeError(
        `timeoutMs must be 0 or more milliseconds, found ${timeoutMs}. Leave it out to wait for ever.`,
      );
    }
  }
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== 'function') {
    throw new TypeError(`signal must be an AbortSignal, found ${describeValue(signal)}.`);
  }
  if (signal?.aborted) throw signal.reason;
  return { timeoutMs: block === false ? 0 : (timeoutMs ?? Infinity), signal: signal ?? undefined };
}

/** How many items a getMany may take. @throws RangeError */
export function readMax(max: number): number {
  if (Number.isSafeInteger(max) && max >= 0) return max;
  if (max === Infinity) return Number.MAX_SAFE_INTEGER;
  throw new RangeError(`max must be a non-negative integer, found ${describeValue(max)}.`);
}

/** Points in time on the monotonic clock, in ms; Infinity for waits without end. */
export const deadlineOf = (wait: Wait): number =>
  wait.timeoutMs === Infinity ? Infinity : performance.now() + wait.timeoutMs;
export const remainingMs = (deadline: number): number =>
  deadline === Infinity ? Infinity : Math.max(0, deadline - performance.now());

/** A timer for any finite delay that never rings early. It does not keep the process alive: `keepAlive` does that for those who want it. */
export class Alarm {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly deadline: number,
    private readonly ring: () => void,
  ) {
    this.arm();
  }

  private arm(): void {
    const delay = Math.min(Math.ceil(remainingMs(this.deadline)), LONGEST_TIMER_MS);
    this.timer = setTimeout(() => (performance.now() >= this.deadline ? this.ring() : this.arm()), delay).unref();
  }

  cancel(): void {
    clearTimeout(this.timer);
  }
}

/** While anybody holds it, the process does not exit for want of work: a waiting promise alone would not keep it. */
class KeepAlive {
  private timer: NodeJS.Timeout | undefined;
  private holders = 0;

  hold(): void {
    if (this.holders++ > 0) return;
    if (this.timer === undefined) this.timer = setInterval(() => {}, LONGEST_TIMER_MS);
    else this.timer.ref();
  }

  drop(): void {
    if (--this.holders === 0) this.timer?.unref();
  }
}

export const keepAlive = new KeepAlive();
