/** A wait as a client asked for it, on the server's clock. */
import { Alarm, deadlineOf, remainingMs } from '../wait/deadline';

/** A call that does not wait, but has others before it, finds out within this time whether those wait for the queue. */
const IN_LINE_MS = 5;

export class RequestDeadline {
  private alarm: Alarm | undefined;

  /** @param waitMs undefined or null: for ever */
  constructor(
    private readonly waitMs: number | null | undefined,
    private readonly deadline = deadlineOf({ timeoutMs: waitMs ?? Infinity }),
  ) {}

  /** The same wait, for another call. */
  copy(): RequestDeadline {
    return new RequestDeadline(this.waitMs, this.deadline);
  }

  get remainingMs(): number {
    return Math.ceil(remainingMs(this.deadline));
  }

  /** While others come first: calls `over` at the deadline; for a call that does not wait, once `progress()` stands still. */
  waitInLine(over: () => void, progress: () => number): void {
    if (this.waitMs !== 0) {
      this.alarm = new Alarm(this.deadline, over, true);
      return;
    }
    let seen = progress();
    const look = (): void => {
      const reached = progress();
      if (reached === seen) return over();
      seen = reached;
      alarm.set(performance.now() + IN_LINE_MS);
    };
    const alarm = new Alarm(performance.now() + IN_LINE_MS, look, true);
    this.alarm = alarm;
  }

  clear(): void {
    this.alarm?.cancel();
  }
}
