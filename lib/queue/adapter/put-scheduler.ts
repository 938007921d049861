/** The puts of one handle into an inner queue that may know nothing of waiting, timeouts, signals, shutdown and closing. */
import { QueueFullError } from '../../errors';
import type { QueueError, QueueErrorOptions } from '../../errors';
import { ANSWER_MS, INNER_GRACE_MS, isFull, isThenable, SLICE_MS } from './timing';
import { PollingLine } from './poll-queue';
import type { PollingCall } from './poll-queue';
import type { Awaitable, QueueLike } from '../types';
import { Alarm, deadlineOf, remainingMs } from '../../wait/deadline';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';

class Putter<T> extends PendingCall implements PollingCall {
  readonly deadline: number;
  private asking = false;
  /** Why it is to end, while the inner queue may still say otherwise. */
  private reason: { readonly error: unknown } | undefined;
  private grace: Alarm | undefined;
  private left = false;

  constructor(
    private readonly item: T,
    private readonly own: Wait,
    private readonly puts: InnerPuts<T>,
    private readonly resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    super(own, reject);
    this.deadline = deadlineOf(own);
  }

  ask(): void {
    if (this.asking || this.puts.mustWait) return;
    const timeoutMs = Math.min(SLICE_MS, remainingMs(this.deadline));
    const put = async (): Promise<void> => {
      if (!(await this.puts.hasRoom()) || this.reason !== undefined) throw new QueueFullError();
      await this.puts.inner.put(this.item, timeoutMs === 0 ? { block: false } : { timeoutMs });
    };
    this.follow(put(), performance.now() + timeoutMs);
  }

  follow(answer: PromiseLike<void>, untilMs: number): void {
    this.asking = true;
    answer.then(
      () => this.answered(undefined, false),
      (error: unknown) => this.answered({ error }, performance.now() < untilMs),
    );
  }

  private answered(refusal: { readonly error: unknown } | undefined, early: boolean): void {
    this.asking = false;
    if (refusal === undefined) this.puts.accepted();
    if (this.left) return this.puts.settle();
    if (refusal === undefined) {
      this.end();
      this.resolve();
    } else if (this.reason !== undefined) {
      this.fail(this.reason.error);
    } else if (!isFull(refusal.error) || remainingMs(this.deadline) === 0) {
      this.fail(refusal.error);
    } else {
      this.puts.mayWait(this, early);
    }
  }

  override giveUp(error: unknown): void {
    if (!this.asking) return this.fail(error);
    // The inner queue has the item in hand, and its answer decides; without one nobody knows.
    this.reason ??= { error };
    this.grace ??= new Alarm(performance.now() + this.graceMs, () => this.leaveUnanswered(error));
  }

  /** An inner queue that heeds its options has answered by then. */
  private get graceMs(): number {
    if (this.own.timeoutMs === 0) return ANSWER_MS;
    return remainingMs(this.deadline) === 0 ? INNER_GRACE_MS : SLICE_MS + INNER_GRACE_MS;
  }

  private leaveUnanswered(error: unknown): void {
    this.left = true;
    this.puts.doubt();
    // A signal's reason belongs to the caller, and others may get it too.
    this.fail(error === this.own.signal?.reason ? error : withOutcomeUnknown(error as QueueError));
  }

  protected override timedOut(): Error {
    return new QueueFullError();
  }

  protected override leave(): void {
    this.grace?.cancel();
    this.puts.leave(this);
  }
}

export class InnerPuts<T> {
  private readonly waiting = new Set<Putter<T>>();
  private readonly line = new PollingLine();
  /** Items that the inner queue may still take although their puts have ended. */
  private inDoubt = 0;
  private referenced = true;

  /**
   * @param hasRoom beside what the inner queue itself knows of.
   * @param accepted called for each item that went in.
   */
  constructor(
    readonly inner: QueueLike<T>,
    readonly hasRoom: () => Awaitable<boolean>,
    readonly accepted: () => void,
  ) {}

  /** With an item in doubt the inner queue is asked nothing else: one that is put again and again would go in as often. */
  get mustWait(): boolean {
    return this.inDoubt > 0;
  }

  /** Undefined when the item went in at once. */
  put(item: T, wait: Wait): Promise<void> | undefined {
    if (this.mustWait && wait.timeoutMs === 0)
      throw new QueueFullError('An earlier put into the queue was given up, and the queue has not answered it yet.');
    const straight = !this.mustWait && (this.line.length === 0 || wait.timeoutMs === 0);
    let answer: PromiseLike<void> | undefined;
    let refused = !straight;
    if (straight && this.hasRoom() === true) {
      try {
        const put = this.inner.put(item, { block: false });
        if (!isThenable(put)) return void this.accepted();
        answer = put;
      } catch (error) {
        if (!isFull(error) || wait.timeoutMs === 0) throw error;
        refused = true;
      }
    }
    return new Promise((resolve, reject) => {
      const putter = new Putter(item, wait, this, resolve, reject);
      this.waiting.add(putter);
      putter.setReferenced(this.referenced);
      if (answer !== undefined) putter.follow(answer, 0);
      else if (refused) this.mayWait(putter, false);
      else putter.ask();
    });
  }

  /** One at a time asks again, so that they are served in order. */
  mayWait(putter: Putter<T>, early: boolean): void {
    this.line.refused(putter, early);
  }

  leave(putter: Putter<T>): void {
    this.waiting.delete(putter);
    this.line.leave(putter);
  }

  doubt(): void {
    this.inDoubt++;
  }

  settle(): void {
    if (--this.inDoubt === 0 && this.line.length > 0) this.line.wake();
  }

  failAll(reason: () => QueueError): void {
    for (const putter of [...this.waiting]) putter.giveUp(reason());
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const putter of this.waiting) putter.setReferenced(referenced);
  }
}

function withOutcomeUnknown(error: QueueError): QueueError {
  const Kind = error.constructor as new (message: string, options: QueueErrorOptions) => QueueError;
  return new Kind(`${error.message} The queue was asked before and has not answered yet: it may still take the item.`, {
    outcome: 'unknown',
  });
}
