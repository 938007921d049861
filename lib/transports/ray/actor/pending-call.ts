/** A line of calls that wait: each leaves by being served, by its deadline or by its signal, whichever is first. */
import { Alarm, deadlineOf, type Wait } from '../../../wait/deadline';

export class Waiting<T> {
  readonly deadline: number;
  readonly promise: Promise<T>;
  /** Why it is to leave, once its time is over or its signal fired. */
  reason: { error: unknown } | undefined;
  settled = false;
  private resolvePromise!: (value: T) => void;
  private rejectPromise!: (error: unknown) => void;
  private alarm: Alarm | undefined;

  constructor(
    private readonly wait: Wait,
    timedOut: () => Error,
    /** The deadline passed or the signal fired: `reason` is set, the call decides when it leaves. */
    private readonly onReason: () => void,
  ) {
    this.deadline = deadlineOf(wait);
    this.promise = new Promise((resolve, reject) => {
      this.resolvePromise = resolve;
      this.rejectPromise = reject;
    });
    if (wait.timeoutMs !== Infinity && wait.timeoutMs > 0) {
      this.alarm = new Alarm(this.deadline, () => this.giveReason(timedOut()));
    }
    wait.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  get immediate(): boolean {
    return this.wait.timeoutMs === 0;
  }

  private readonly onAbort = (): void => this.giveReason(this.wait.signal?.reason);

  private giveReason(error: unknown): void {
    if (this.settled || this.reason !== undefined) return;
    this.reason = { error };
    this.onReason();
  }

  resolve(value: T): void {
    this.leave();
    this.resolvePromise(value);
  }

  reject(error: unknown): void {
    this.leave();
    this.rejectPromise(error);
  }

  private leave(): void {
    this.settled = true;
    this.alarm?.cancel();
    this.wait.signal?.removeEventListener('abort', this.onAbort);
  }
}
