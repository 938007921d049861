/** Points in time on the monotonic clock, in ms (Infinity: never), and a timer that rings at one. */
import type { Wait } from './options';

/** Node turns a longer delay into 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const deadlineOf = (wait: Pick<Wait, 'timeoutMs'>): number =>
  wait.timeoutMs === Infinity ? Infinity : performance.now() + wait.timeoutMs;
export const remainingMs = (deadline: number): number =>
  deadline === Infinity ? Infinity : Math.max(0, deadline - performance.now());

/** What is left of a wait that ends at `deadline`. */
export const restOf = (wait: Wait, deadline: number): Wait =>
  deadline === Infinity ? wait : { timeoutMs: remainingMs(deadline), signal: wait.signal };

/**
 * A timer for any delay that never rings early. It does not keep the process alive unless told to: `keepAlive` does that for those who
 * want it without a timer.
 */
export class Alarm {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private deadline: number,
    private readonly ring: () => void,
    private referenced = false,
  ) {
    if (deadline !== Infinity) this.arm();
  }

  /** Rings then instead, if at all. */
  set(deadline: number): void {
    this.cancel();
    this.deadline = deadline;
    if (deadline !== Infinity) this.arm();
  }

  private arm(): void {
    const delay = Math.min(Math.ceil(remainingMs(this.deadline)), LONGEST_TIMER_MS);
    this.timer = setTimeout(() => (performance.now() >= this.deadline ? this.ring() : this.arm()), delay);
    if (!this.referenced) this.timer.unref();
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    if (referenced) this.timer?.ref();
    else this.timer?.unref();
  }

  cancel(): void {
    clearTimeout(this.timer);
  }
}

/** The promise, or after `ms` what `late` makes of its silence. What it brings later is nobody's. The process stays alive for either. */
export function answerWithin<V>(ms: number, promise: Promise<V>, late: () => Error): Promise<V> {
  return new Promise((resolve, reject) => {
    const alarm = new Alarm(performance.now() + ms, () => reject(late()), true);
    promise.then(resolve, reject).finally(() => alarm.cancel());
  });
}
