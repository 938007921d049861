/** Calls that wait on one side of one handle: served in order, each ended by its item, timeout, signal or the handle's close. */
import { SLEEP, TRY } from './addon';
import type { Direction, NativeHandle } from './addon';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';
import type { BellPull } from './doorbell';
import { LookAgain } from './look-again';

/** As many are served before other work of the loop gets its turn. */
const BATCH = 64;

/** What one try brought: undefined for "nothing yet". */
export type Attempt<R> = () => { value: R } | undefined;

class Waiter<R> extends PendingCall {
  private isLate = false;

  constructor(
    wait: Wait,
    private readonly waiters: Waiters,
    private readonly late: () => Error,
    private readonly attempt: Attempt<R>,
    private readonly resolve: (value: R) => void,
    reject: (reason: unknown) => void,
  ) {
    super(wait, reject);
  }

  /** False: nothing yet. True: settled, one way or the other. */
  tryNow(): boolean {
    try {
      const outcome = this.attempt();
      if (outcome === undefined) return false;
      this.end();
      this.resolve(outcome.value);
    } catch (error) {
      super.fail(error);
    }
    return true;
  }

  override fail(reason: unknown): void {
    const first = this.waiters.isFirst(this as Waiter<unknown>);
    super.fail(reason);
    // What the first one waited for in vain may be more than the next one needs.
    if (first) this.waiters.rung();
  }

  protected override timedOut(): Error {
    this.isLate = true;
    return this.late();
  }

  /** A wait that times out takes a last look: should nobody have been able to ring, the item lies there all the same. */
  override giveUp(reason: unknown): void {
    if (this.isLate && this.waiters.isFirst(this as Waiter<unknown>) && this.tryNow()) return this.waiters.rung();
    super.giveUp(reason);
  }

  protected override leave(): void {
    this.waiters.left(this as Waiter<unknown>);
  }
}

export class Waiters {
  private readonly waiting = new Set<Waiter<unknown>>();
  /** From the first who waits until nobody does. */
  private active = false;
  private again = false;
  private readonly looking = new LookAgain(
    () => this.look(),
    () => this.sleep(),
  );
  referenced = true;

  constructor(
    private readonly handle: NativeHandle,
    private readonly direction: Direction,
    private readonly bell: BellPull,
  ) {}

  get size(): number {
    return this.waiting.size;
  }

  add<R>(wait: Wait, timedOut: () => Error, attempt: Attempt<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const waiter = new Waiter(wait, this, timedOut, attempt, resolve, reject);
      this.waiting.add(waiter as Waiter<unknown>);
      waiter.setReferenced(this.referenced);
      if (!this.active) this.begin();
    });
  }

  isFirst(waiter: Waiter<unknown>): boolean {
    return this.waiting.values().next().value === waiter;
  }

  left(waiter: Waiter<unknown>): void {
    this.waiting.delete(waiter);
  }

  private begin(): void {
    this.active = true;
    if (!this.looking.begin()) this.sleep();
  }

  /** Looked, and found nothing. */
  private sleep(): void {
    this.bell.attach();
    this.serve(this.handle.beginWaiting(this.direction));
  }

  /** The bell rang, or may be down. */
  rung(): void {
    if (!this.active) return;
    this.looking.stop();
    if (this.waiting.size === 0) return this.end();
    this.bell.attach();
    this.serve(this.handle.rung(this.direction));
  }

  /** Goes on from the step that the core says is next. */
  private serve(first: number): void {
    let step = first;
    let left = BATCH;
    while (step === TRY) {
      left -= this.serveSome(left);
      if (!this.active) return; // closed by what it served
      if (left === 0 && this.waiting.size > 0) return this.continueLater();
      step = this.handle.tried(this.direction, this.waiting.size === 0);
    }
    if (step === SLEEP) return this.bell.watch();
    this.active = false;
    this.bell.rest();
  }

  /** A try without the bell. True: nobody waits any more. */
  private look(): boolean {
    this.serveSome(BATCH);
    if (this.waiting.size === 0) this.active = false;
    return !this.active;
  }

  /** Serves those that wait, up to `most`, in their order. How many it served. */
  private serveSome(most: number): number {
    let served = 0;
    for (const waiter of this.waiting) {
      if (served === most || !waiter.tryNow()) break;
      served++;
    }
    return served;
  }

  private continueLater(): void {
    if (this.again) return;
    this.again = true;
    setImmediate(() => {
      this.again = false;
      this.rung();
    });
  }

  /** Nobody waits any more. */
  private end(): void {
    this.active = false;
    this.looking.stop();
    this.handle.stopWaiting(this.direction);
    this.bell.rest();
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const waiter of this.waiting) waiter.setReferenced(referenced);
  }

  /** The end of all of them: none of those behind gets a turn any more. */
  failAll(reason: () => unknown): void {
    const all = [...this.waiting];
    this.waiting.clear();
    for (const waiter of all) waiter.fail(reason());
    if (this.active) this.end();
  }
}
