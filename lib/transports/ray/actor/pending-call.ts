import { QueueConnectionError } from '../../../errors';
import { Alarm, deadlineOf } from '../../../wait/deadline';
import type { Wait } from '../../../wait/options';
import { PendingCall } from '../../../wait/pending-call';

/** How long an actor may be silent towards a call that does not wait for the queue, or no longer, unless the handle says otherwise. */
export const ANSWER_WITHIN_MS = 3000;

/** What a call says of an actor that does not answer. */
export function unanswered(what: string, ms: number, options?: { outcome: 'unknown' }): QueueConnectionError {
  return new QueueConnectionError(
    `${what}: no answer from the actor within ${Math.round(ms)} ms. It is busy, out of reach, or Ray has no place to run it${options === undefined ? '.' : '; the outcome is unknown.'}`,
    options,
  );
}

/** Who serves the calls. */
export interface CallOwner {
  /** `put` or `get`, for messages. */
  readonly what: string;
  readonly answerMs: number;
  /** One of its calls has a reason to leave, or has left unanswered. */
  interrupt(): void;
}

/**
 * A call that waits for the actor. While the actor has it in hand it does not end by itself: once its time is over or its signal fired
 * it has a `reason` to, and ends with the actor's answer, which says whether the item went in, or that nothing was there. An actor that
 * gives none for `answerMs` more has no say.
 */
export class ActorCall<T> extends PendingCall {
  readonly promise: Promise<T>;
  /** Whether it waits for the queue not at all. */
  readonly immediate: boolean;
  readonly deadline: number;
  private reason: { error: unknown; aborted: boolean } | undefined;
  /** It was on its way at least once: what it asks may have happened. */
  sent = false;
  settled = false;
  private readonly fulfil: (value: T) => void;
  private answerAlarm: Alarm | undefined;
  private readonly started = performance.now();

  constructor(
    wait: Wait,
    private readonly owner: CallOwner,
  ) {
    let fulfil!: (value: T) => void;
    let reject!: (error: unknown) => void;
    const promise = new Promise<T>((...settle) => ([fulfil, reject] = settle));
    super(wait.timeoutMs === 0 ? { timeoutMs: Infinity, signal: wait.signal } : wait, reject);
    this.promise = promise;
    this.fulfil = fulfil;
    this.immediate = wait.timeoutMs === 0;
    this.deadline = deadlineOf(wait);
    if (this.immediate) this.expectAnswer();
  }

  /** It waits for the queue no longer: the next answer is its own. */
  get isLate(): boolean {
    return this.immediate || this.reason?.aborted === false;
  }

  get isAborted(): boolean {
    return this.reason?.aborted === true;
  }

  protected override timedOut(): Error {
    return unanswered(this.owner.what, this.owner.answerMs);
  }

  override giveUp(error: unknown): void {
    if (this.settled || this.reason !== undefined) return;
    this.reason = { error, aborted: this.wait.signal?.aborted === true && error === this.wait.signal.reason };
    this.expectAnswer();
    this.owner.interrupt();
  }

  private expectAnswer(): void {
    this.answerAlarm ??= new Alarm(performance.now() + this.owner.answerMs, () => this.goUnanswered(), true);
  }

  private goUnanswered(): void {
    if (this.reason?.aborted) this.fail(this.reason.error);
    else this.fail(this.noAnswer());
    this.owner.interrupt();
  }

  protected noAnswer(): Error {
    return unanswered(this.owner.what, this.waitedMs());
  }

  protected waitedMs(): number {
    return performance.now() - this.started;
  }

  /** An aborted call ends with its signal's reason, whatever else there is to say. */
  override fail(error: unknown): void {
    super.fail(this.reason?.aborted ? this.reason.error : error);
  }

  resolve(value: T): void {
    this.end();
    this.fulfil(value);
  }

  protected override leave(): void {
    this.settled = true;
    this.answerAlarm?.cancel();
  }
}
