/** Puts that wait at an inner queue: of one item, and of many. */
import { QueueFullError } from '../../errors';
import type { QueueError } from '../../errors';
import { Alarm, deadlineOf, remainingMs } from '../../wait/deadline';
import { isTurnOver, nextTurn } from '../../wait/fairness';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';
import { withAccepted } from '../base-queue';
import { sourceIsSilent } from '../interruptible-source';
import type { ItemFeed } from '../item-feed';
import type { QueueLike } from '../types';
import { withOutcomeUnknown } from '../outcome';
import { innerOptions } from '../own-wait';
import type { OwnWait } from '../own-wait';
import type { OpenAnswers } from './open-answers';
import type { PolledCall, Poller } from './poller';
import { ANSWER_MS, INNER_GRACE_MS, isFull, SLICE_MS } from './timing';

/** What an inner queue said of an item. */
type Refusal = { readonly error: unknown };

/** What there is room for in the queue as its users see it, with the items that are on lease. */
export interface Room {
  /** Whether the inner queue knows that itself. */
  isKnownInside(): boolean;
  left(): Promise<number>;
}

/** Those that the call is one of. */
export interface PutsOfHandle<T> {
  readonly inner: QueueLike<T>;
  readonly room: Room;
  readonly poller: Poller;
  /** Items that the inner queue was given and has said nothing of. */
  readonly open: OpenAnswers;
  /** With an item in doubt the inner queue is asked nothing else: one that is put again and again would go in as often. */
  readonly mustWait: boolean;
  /** Why the handle takes no items, where it takes none. */
  readonly refusal: QueueError | undefined;
  unanswered(): QueueError;
  /** Called for each item that went in. */
  accepted(): void;
  /** The call has ended, and the inner queue may still take its item … */
  doubt(): void;
  /** … which it has answered. */
  settle(): void;
  left(put: PendingPut<T>): void;
}

export abstract class PendingPut<T> extends PendingCall implements PolledCall {
  isAside = false;
  protected asking = false;
  /** Why it is to end, while the inner queue may still say otherwise. */
  protected reason: Refusal | undefined;
  private grace: Alarm | undefined;
  private silence: NodeJS.Immediate | undefined;
  /** It has ended, and the inner queue may still take the item. */
  private left = false;
  protected ended = false;

  /** @param wait how long the call as such may wait, which is less than `own` allows where it may do more than wait */
  constructor(
    protected readonly own: OwnWait,
    protected readonly deadline: number,
    protected readonly puts: PutsOfHandle<T>,
    reject: (reason: unknown) => void,
    wait: Wait = own,
  ) {
    super(wait, reject);
  }

  abstract ask(): void;

  /** The item is in. */
  protected abstract accepted(): void;

  protected askFor(item: T): void {
    const timeoutMs = Math.min(SLICE_MS, remainingMs(this.deadline));
    const { room, open } = this.puts;
    const inFlight = open.count;
    const put = async (): Promise<void> => {
      // Those before it may not be in yet.
      if (!room.isKnownInside() && (await room.left()) <= inFlight) throw new QueueFullError();
      if (this.reason !== undefined) throw new QueueFullError();
      await this.puts.inner.put(item, innerOptions(this.own, timeoutMs));
    };
    this.follow(put(), performance.now() + timeoutMs);
  }

  protected follow(answer: PromiseLike<void>, untilMs: number): void {
    this.asking = true;
    this.puts.open.begin();
    answer.then(
      () => this.answered(undefined, false),
      (error: unknown) => this.answered({ error }, performance.now() < untilMs),
    );
  }

  /** The inner queue was asked as soon as the call was made. While it may still answer in this turn of the event loop, others wait. */
  started(answer: PromiseLike<void>): void {
    this.silence = setImmediate(() => {
      this.isAside = true;
      this.puts.poller.serve();
    });
    this.follow(answer, 0);
  }

  private answered(refusal: Refusal | undefined, early: boolean): void {
    this.asking = false;
    this.puts.open.end();
    clearImmediate(this.silence);
    this.isAside = false;
    this.grace?.cancel();
    this.grace = undefined;
    if (refusal === undefined) this.puts.accepted();
    if (this.left) return this.puts.settle();
    if (refusal === undefined) this.accepted();
    else if (this.reason !== undefined) this.fail(this.reason.error);
    else if (!isFull(refusal.error) || remainingMs(this.deadline) === 0) this.fail(refusal.error);
    else this.puts.poller.refused(this, early);
  }

  override giveUp(error: unknown): void {
    if (!this.asking) return this.fail(error);
    // The inner queue has the item in hand, and its answer decides; without one nobody knows.
    this.reason ??= { error };
    this.endUnanswered(this.graceMs, error);
  }

  /** Should the inner queue say nothing for so long, the call ends all the same. */
  protected endUnanswered(graceMs: number, error: unknown): void {
    this.grace ??= new Alarm(performance.now() + graceMs, () => this.leaveUnanswered(error));
  }

  /** An inner queue that heeds its options has answered by then. */
  protected get graceMs(): number {
    if (this.own.timeoutMs === 0) return ANSWER_MS;
    return remainingMs(this.deadline) === 0 ? INNER_GRACE_MS : SLICE_MS + INNER_GRACE_MS;
  }

  private leaveUnanswered(error: unknown): void {
    this.left = true;
    this.puts.doubt();
    // A signal's reason belongs to the caller, and others may get it too.
    this.fail(
      error === this.own.signal?.reason
        ? error
        : withOutcomeUnknown(
            error as QueueError,
            'The queue was asked before and has not answered yet: it may still take the item.',
          ),
    );
  }

  protected override timedOut(): Error {
    return new QueueFullError();
  }

  protected override leave(): void {
    this.ended = true;
    clearImmediate(this.silence);
    this.grace?.cancel();
    this.puts.left(this);
  }
}

export class SinglePut<T> extends PendingPut<T> {
  constructor(
    private readonly item: T,
    own: OwnWait,
    puts: PutsOfHandle<T>,
    private readonly resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    super(own, deadlineOf(own), puts, reject);
  }

  override ask(): void {
    if (!this.asking && !this.puts.mustWait) this.askFor(this.item);
  }

  protected override accepted(): void {
    this.end();
    this.resolve();
  }
}

/** Holds its place until all its items are in, but for the time in which their source is silent. */
export class BatchPut<T> extends PendingPut<T> {
  private readonly bound: Alarm;
  private count = 0;
  private pausing = false;

  constructor(
    private readonly feed: ItemFeed<T>,
    own: OwnWait,
    puts: PutsOfHandle<T>,
    private readonly resolve: (accepted: number) => void,
    reject: (reason: unknown) => void,
  ) {
    // When the time is over, a last try puts what is at hand, and then says why the call ends.
    super(own, deadlineOf(own), puts, reject, { timeoutMs: Infinity, signal: own.signal });
    this.bound = new Alarm(this.deadline, () => this.late());
  }

  private get isLate(): boolean {
    return remainingMs(this.deadline) === 0;
  }

  override ask(): void {
    if (this.asking || this.pausing || this.ended) return;
    // One whose time is over does not hold its turn against anybody, and needs none.
    if (!this.isLate && (this.puts.mustWait || !this.puts.poller.isFirst(this))) return;
    try {
      const state = this.feed.look();
      if (this.ended) return;
      if (state === 'item') return this.put(this.feed.item);
      if (state === 'done') return this.succeed();
      if (state === 'silent' && this.isLate) return this.fail(sourceIsSilent());
      if (state === 'silent') this.stepAside();
    } catch (error) {
      this.fail(error);
    }
  }

  private put(item: T): void {
    const { refusal } = this.puts;
    if (refusal !== undefined) return this.fail(refusal);
    if (this.puts.mustWait) return this.fail(this.puts.unanswered());
    this.askFor(item);
    if (this.isLate) this.endUnanswered(ANSWER_MS, this.timedOut());
  }

  private late(): void {
    if (this.asking) this.endUnanswered(INNER_GRACE_MS, this.timedOut());
    else this.ask();
  }

  private stepAside(): void {
    this.isAside = true;
    this.puts.poller.wake();
  }

  /** An asynchronous source was waited for, and has spoken or counts as silent. */
  spoke(): void {
    if (this.ended) return;
    this.isAside = false;
    this.ask();
  }

  protected override accepted(): void {
    this.count++;
    this.feed.take();
    if (this.reason !== undefined) return this.fail(this.reason.error);
    if (!isTurnOver(1)) return this.ask();
    this.pausing = true;
    void nextTurn().then(() => {
      this.pausing = false;
      this.ask();
    });
  }

  private succeed(): void {
    this.end();
    this.resolve(this.count);
  }

  override fail(reason: unknown): void {
    super.fail(withAccepted(reason, this.count, this.own));
  }

  protected override leave(): void {
    this.bound.cancel();
    super.leave();
  }
}
