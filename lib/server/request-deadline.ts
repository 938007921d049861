/** A wait as a client asked for it, on the server's clock. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A call that does not wait, but has others before it, finds out within this time whether those wait for the queue. */
const IN_LINE_MS = 5;

export class Patience {
  private timer: NodeJS.Timeout | undefined;

  /** @param waitMs undefined or null: for ever */
  constructor(
    private readonly waitMs: number | null | undefined,
    readonly deadline = waitMs === null || waitMs === undefined ? Infinity : performance.now() + waitMs,
  ) {}

  /** The same wait, for another call. */
  copy(): Patience {
    return new Patience(this.waitMs, this.deadline);
  }

  get remainingMs(): number {
    return this.deadline === Infinity ? Infinity : Math.max(0, Math.ceil(this.deadline - performance.now()));
  }

  /** While others come first: calls `over` at the deadline; for a call that does not wait, once `progress()` stands still. */
  standInLine(over: () => void, progress: () => number): void {
    if (this.deadline === Infinity) return;
    if (this.waitMs !== 0) {
      this.timer = setTimeout(over, Math.min(this.remainingMs, LONGEST_TIMER_MS));
      return;
    }
    let seen = progress();
    const look = (): void => {
      const now = progress();
      if (now === seen) return over();
      seen = now;
      this.timer = setTimeout(look, IN_LINE_MS);
    };
    this.timer = setTimeout(look, IN_LINE_MS);
  }

  clear(): void {
    clearTimeout(this.timer);
  }
}
