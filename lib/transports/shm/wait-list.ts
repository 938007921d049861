/** Calls that wait on one side of one entry: served in order, each ended by its item, timeout, signal or the close of its handle. */
import { GETTERS, JOINERS, PUTTERS, SLEEP, TRY } from './addon';
import type { Direction } from './addon';
import type { NativeEntry } from './native-entry';
import { CallLine } from '../../wait/call-line';
import type { Attempt, CallGroup, LineRequest, LineState } from '../../wait/call-line';
import type { Wait } from '../../wait/options';
import type { EntryDoorbell } from './doorbell';
import { LookAgain } from './look-again';

const WAITING = { [GETTERS]: 'get', [PUTTERS]: 'put', [JOINERS]: 'join' } as const;
/** As many are served before other work of the loop gets its turn. */
const BATCH = 64;
/** With so many items in the queue a putter that sleeps is woken, once a quarter was taken, before its consumers run out of them. */
const PLENTY = 1024;

export class WaitList {
  /** Made with the first call that waits: most entries see none. */
  private line: CallLine | undefined;
  private looking: LookAgain | undefined;
  /** From the first who waits at the queue until nobody does. */
  private active = false;
  /** A try runs code of the program's, which may use this queue: nobody is tried within a try. */
  private serving = false;
  private again = false;

  constructor(
    private readonly native: NativeEntry,
    private readonly direction: Direction,
    private readonly bell: EntryDoorbell,
  ) {}

  /** Whether one more call has to stand behind others. */
  get isTaken(): boolean {
    return this.line !== undefined && this.line.isTaken;
  }

  /** … and those wait at the queue. */
  get isWanted(): boolean {
    return this.line !== undefined && this.line.isWanted;
  }

  /** @param group the calls of its handle */
  add<R>(group: CallGroup, wait: Wait, late: () => Error, attempt: Attempt<R>): Promise<R> {
    return this.enter({ group, wait, late, attempt });
  }

  /** @param state what the call's own first try said of it */
  enter<R>(request: LineRequest<R>, state?: LineState): Promise<R> {
    this.line ??= new CallLine(WAITING[this.direction], (first) => this.left(first));
    const waiting = this.line.add(request, state);
    if (!this.active && !this.serving && this.isWanted) this.begin();
    return waiting;
  }

  private begin(): void {
    this.active = true;
    this.looking ??= new LookAgain(
      () => this.look(),
      () => this.sleep(),
    );
    if (this.hasTime || !this.looking.begin()) this.sleep();
  }

  /**
   * A putter that looks goes on with the first place that gets free, and so does the next: both sides then wait for each other's core at
   * every word. Asleep, it is woken for many places together.
   */
  private get hasTime(): boolean {
    return this.direction === PUTTERS && this.native.untaken() >= PLENTY;
  }

  /** A try without the bell. True: nobody waits any more. */
  private look(): boolean {
    if (this.serve() === 'idle') this.active = false;
    return !this.active;
  }

  /** Looked, and found nothing. */
  private sleep(): void {
    this.bell.attach();
    this.goOn(this.native.beginWaiting(this.direction));
  }

  /** The bell rang, or may be down, or a call has something to ask for again. */
  rung(): void {
    if (this.serving) return this.continueLater();
    if (!this.active) return this.serveInactive();
    this.looking?.stop();
    if (!this.isTaken) return this.end();
    this.bell.attach();
    this.goOn(this.native.rung(this.direction));
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
      step = this.native.tried(this.direction, result === 'idle');
    }
    if (step === SLEEP) return this.bell.watch(this);
    this.active = false;
    this.bell.rest(this);
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

  /** Nobody is served until what this returns is called, nor told that somebody left: calls are being ended. */
  hold(): () => void {
    const { serving } = this;
    this.serving = true;
    return () => {
      this.serving = serving;
    };
  }

  /** Calls have left. What the `first` one waited for in vain may be more than the next one needs. */
  left(first: boolean): void {
    if (first && !this.serving) this.rung();
  }

  /** Nobody waits any more. */
  private end(): void {
    this.looking?.stop();
    this.active = false;
    this.native.stopWaiting(this.direction);
    this.bell.rest(this);
  }

  /** The end of all of them: none of those behind gets a turn any more. */
  failAll(reason: () => unknown): void {
    const goOn = this.hold();
    this.line?.giveUp(reason);
    goOn();
    this.close();
  }

  /** Nobody is left. */
  close(): void {
    if (this.active) this.end();
  }
}
