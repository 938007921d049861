/** Calls that wait on one side of one handle: served in order, each ended by its item, timeout, signal or the handle's close. */
import { SLEEP, TRY } from './addon';
import type { Direction, NativeHandle } from './addon';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';
import type { BellPull } from './doorbell';

/** As many are served before other work of the loop gets its turn. */
const BATCH = 64;

/** What one try brought: undefined for "nothing yet". */
export type Attempt<R> = () => { value: R } | undefined;

class Waiter<R> extends PendingCall {
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
    return this.late();
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
    this.bell.attach();
    this.serve(this.handle.beginWaiting(this.direction));
  }

  /** The bell rang, or may be down. */
  rung(): void {
    if (!this.active) return;
    if (this.waiting.size === 0) this.end();
    else this.serve(this.handle.rung(this.direction));
  }

  /** Goes on from the step that the core says is next. */
  private serve(first: number): void {
    let step = first;
    let served = 0;
    while (step === TRY) {
      for (const waiter of this.waiting) {
        if (served === BATCH) return this.continueLater();
        if (!waiter.tryNow()) break;
        served++;
      }
      if (!this.active) return; // closed by what it served
      step = this.handle.tried(this.direction, this.waiting.size === 0);
    }
    if (step === SLEEP) return this.bell.watch();
    this.active = false;
    this.bell.rest();
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
