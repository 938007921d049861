/** Calls that wait on one side of one handle: served in order, each ended by its item, timeout, signal or the handle's close. */
import { SLEEP, TRY } from './addon';
import type { Direction, NativeHandle } from './addon';
import { CallGroup, CallLine } from '../../wait/call-line';
import type { Attempt, LineRequest, LineState } from '../../wait/call-line';
import type { Wait } from '../../wait/options';
import type { BellPull } from './doorbell';
import { LookAgain } from './look-again';

/** As many are served before other work of the loop gets its turn. */
const BATCH = 64;

export class WaitList {
  /** Made with the first call that waits: most handles see none. */
  private line: CallLine | undefined;
  private group: CallGroup | undefined;
  private looking: LookAgain | undefined;
  private referenced = true;
  /** From the first who waits at the queue until nobody does. */
  private active = false;
  /** A try runs code of the program's, which may use this handle: nobody is tried within a try. */
  private serving = false;
  private again = false;

  constructor(
    private readonly handle: NativeHandle,
    private readonly direction: Direction,
    private readonly bell: BellPull,
  ) {}

  /** Whether one more call has to stand behind others. */
  get isTaken(): boolean {
    return this.line !== undefined && this.line.isTaken;
  }

  /** … and those wait at the queue. */
  get isWanted(): boolean {
    return this.line !== undefined && this.line.isWanted;
  }

  add<R>(wait: Wait, late: () => Error, attempt: Attempt<R>): Promise<R> {
    return this.enter({ wait, late, attempt });
  }

  /** @param state what the call's own first try said of it */
  enter<R>(request: Omit<LineRequest<R>, 'group'>, state?: LineState): Promise<R> {
    this.line ??= new CallLine((first) => this.left(first));
    this.group ??= new CallGroup(this.referenced);
    const waiting = this.line.add({ ...request, group: this.group }, state);
    if (!this.active && !this.serving && this.isWanted) this.begin();
    return waiting;
  }

  private begin(): void {
    this.active = true;
    this.looking ??= new LookAgain(
      () => this.look(),
      () => this.sleep(),
    );
    if (!this.looking.begin()) this.sleep();
  }

  /** A try without the bell. True: nobody waits any more. */
  private look(): boolean {
    if (this.serve() === 'idle') this.active = false;
    return !this.active;
  }

  /** Looked, and found nothing. */
  private sleep(): void {
    this.bell.attach();
    this.goOn(this.handle.beginWaiting(this.direction));
  }

  /** The bell rang, or may be down, or a call has something to ask for again. */
  rung(): void {
    if (this.serving) return this.continueLater();
    if (!this.active) return this.serveInactive();
    this.looking?.stop();
    if (!this.isTaken) return this.end();
    this.bell.attach();
    this.goOn(this.handle.rung(this.direction));
  }

  /** Nobody waits at the queue; calls may hold their places. */
  private serveInactive(): void {
    const result = this.serve();
    if (result === 'more') this.continueLater();
    else if (result === 'wanted') this.begin();
  }

  /** Goes on from the step that the core says is next. */
  private goOn(first: number): void {
    let step = first;
    while (step === TRY) {
      const result = this.serve();
      if (!this.active) return; // closed by what it served
      if (result === 'more') return this.continueLater();
      step = this.handle.tried(this.direction, result === 'idle');
    }
    if (step === SLEEP) return this.bell.watch();
    this.active = false;
    this.bell.rest();
  }

  private serve(): 'idle' | 'wanted' | 'more' {
    this.serving = true;
    try {
      return this.line === undefined ? 'idle' : this.line.serve(BATCH);
    } finally {
      this.serving = false;
    }
  }

  private continueLater(): void {
    if (this.again) return;
    this.again = true;
    setImmediate(() => {
      this.again = false;
      this.rung();
    });
  }

  /** What the first one waited for in vain may be more than the next one needs. */
  private left(first: boolean): void {
    if (first && !this.serving) this.rung();
  }

  /** Nobody waits any more. */
  private end(): void {
    this.looking?.stop();
    this.active = false;
    this.handle.stopWaiting(this.direction);
    this.bell.rest();
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    this.group?.setReferenced(referenced);
  }

  /** The end of all of them: none of those behind gets a turn any more. */
  failAll(reason: () => unknown): void {
    const { serving } = this;
    this.serving = true;
    this.group?.giveUp(reason);
    this.serving = serving;
    if (this.active) this.end();
  }
}
