/**
 * Looking again for a moment before going to sleep: what is answered at once is met awake, without the system calls and the switches that
 * sleeping costs both sides. Wasted on whoever has long to wait, so it is soon given up.
 */

/** As long may one turn of the event loop be held up, by all that look in it. */
const SPOT_MS = 0.02;
/** As long does one wait look, from its beginning: longer than a wake takes. */
const LOOK_MS = 0.05;
/** So many waits in a row that looked in vain, and waiting is taken for long … */
const MISSES = 4;
/** … from then on only every so many-th looks. */
const SELDOM = 32;

/** What this thread has spent on the spot in the present turn of its event loop. */
let spentMs = 0;
let turnEnds = false;

function spend(ms: number): void {
  spentMs += ms;
  if (turnEnds) return;
  turnEnds = true;
  setImmediate(() => {
    turnEnds = false;
    spentMs = 0;
  });
}

/** One side of one entry. */
export class LookAgain {
  private misses = 0;
  private waits = 0;
  /** When the present wait began to look; undefined: none does. */
  private since: number | undefined;
  private isBeginning = false;
  private scheduled = false;

  /**
   * @param attempt whether nobody waits any more
   * @param sleep   looked in vain: what comes next is to be rung
   */
  constructor(
    private readonly attempt: () => boolean,
    private readonly sleep: () => void,
  ) {}

  /** A wait begins. False: it is not worth a look. Otherwise it ends by an attempt, by `sleep` or by `stop()`. */
  begin(): boolean {
    if (this.misses >= MISSES && ++this.waits % SELDOM !== 0) return false;
    this.since = performance.now();
    if (this.isBeginning) return true;
    this.isBeginning = true;
    // Promises go first: what is waited for may be the answer to something that one of them is about to put.
    process.nextTick(this.lookOnTheSpot);
    return true;
  }

  private readonly lookOnTheSpot = (): void => {
    this.isBeginning = false;
    if (this.since === undefined) return;
    const start = performance.now();
    this.since = start;
    const end = start + SPOT_MS - spentMs;
    let now = start;
    let done = false;
    while (!done && now < end && this.since === start) {
      done = this.attempt();
      now = performance.now();
    }
    spend(now - start);
    if (this.since !== start) return; // stopped by what the attempt brought
    if (done) this.hit(now - start);
    else this.later();
  };

  /** Somebody else has taken over: the bell rang, or nobody waits any more. */
  stop(): void {
    this.since = undefined;
  }

  private hit(took: number): void {
    this.since = undefined;
    // Later than a look ever is: this thread was off its core, or its loop is busy. The core is better left to the other side.
    this.misses = took > LOOK_MS ? MISSES : 0;
  }

  /** Timers that are due and I/O come before it. */
  private later(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const start = this.since;
      if (start === undefined) return;
      const done = this.attempt();
      if (this.since !== start) return;
      const took = performance.now() - start;
      if (done) return this.hit(took);
      if (took < LOOK_MS) return this.later();
      this.since = undefined;
      if (this.misses < MISSES) this.misses = took > 2 * LOOK_MS ? MISSES : this.misses + 1;
      this.sleep();
    });
  }
}
