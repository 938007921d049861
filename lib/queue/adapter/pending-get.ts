/** A get that waits at an inner queue: for one item, or for one and what else is there. */
import { QueueEmptyError } from '../../errors';
import { Alarm, deadlineOf, remainingMs } from '../../wait/deadline';
import type { OwnWait } from '../own-wait';
import { PendingCall } from '../../wait/pending-call';
import type { PolledCall } from './poller';
import { ANSWER_MS, INNER_GRACE_MS, SLICE_MS } from './timing';

export interface Delivery<T> {
  readonly item: T;
  readonly deliveries: number;
  /** In the order in which the inner queue gave them. */
  readonly sequence: number;
}

/** For the next get: an item, or the error that is all that is left of one. */
export type Outcome<T> = Delivery<T> | { readonly error: unknown };

/** What the inner queue was asked for and has not answered yet. */
export interface InnerRequest<T> {
  /** Undefined: who asked has left. */
  call: PendingGet<T> | undefined;
  /** Asked with the timeout and the signal of a call that has left. */
  reattached: boolean;
  readonly untilMs: number;
}

/** Those that the call is one of. */
export interface GetsOfHandle<T> {
  ask(call: PendingGet<T>, timeoutMs: number): void;
  /** For a call that has its first item: what else is there at once. */
  collect(call: PendingGet<T>): void;
  /** The inner queue owes an answer to a call that does not wait: if nothing is there, it may owe it for ever. */
  lookFor(call: PendingGet<T>): void;
  keep(outcome: Outcome<T>, place: 'first' | 'last'): void;
  left(call: PendingGet<T>): void;
}

export class PendingGet<T> extends PendingCall implements PolledCall {
  readonly isAside = false;
  readonly deadline: number;
  request: InnerRequest<T> | undefined;
  left = false;
  private readonly deliveries: Delivery<T>[] = [];
  private early: Alarm | undefined;

  constructor(
    private readonly max: number,
    /** What it takes comes on lease, and keeps its room in the queue. */
    private readonly lease: boolean,
    readonly own: OwnWait,
    private readonly gets: GetsOfHandle<T>,
    /** Called before anybody else's turn comes. */
    private readonly resolve: (deliveries: Delivery<T>[]) => void,
    reject: (reason: unknown) => void,
  ) {
    super({ timeoutMs: own.timeoutMs === 0 ? ANSWER_MS : own.timeoutMs + INNER_GRACE_MS, signal: own.signal }, reject);
    this.deadline = deadlineOf(own);
    if (own.timeoutMs === 0) this.early = new Alarm(performance.now() + INNER_GRACE_MS, () => this.gets.lookFor(this));
  }

  /** It has its first item, and takes what else is there. */
  get isCollecting(): boolean {
    return this.deliveries.length > 0;
  }

  /** How many items it has that keep their room. */
  get leasing(): number {
    return this.lease ? this.deliveries.length : 0;
  }

  give(outcome: Outcome<T>): void {
    if (this.add(outcome)) this.gets.collect(this);
  }

  /** @returns whether it takes more */
  add(outcome: Outcome<T>): boolean {
    if ('error' in outcome) {
      this.failItem(outcome.error);
      return false;
    }
    this.deliveries.push(outcome);
    // Its own request is open still, and brings what comes next: to ask another one would take what is behind that.
    if (this.deliveries.length < this.max && this.request === undefined) return true;
    this.finish();
    return false;
  }

  /** Of an item that it should have had: what it has already must not be lost to that. */
  failItem(error: unknown): void {
    if (!this.isCollecting) return this.fail(error);
    this.finish();
    this.gets.keep({ error }, 'first');
  }

  /** With what it has. */
  finish(): void {
    this.end();
    this.resolve(this.deliveries);
  }

  /** The inner queue was asked for what is there now: should it wait instead, that is all. */
  boundCollecting(): void {
    this.early?.cancel();
    this.early = new Alarm(performance.now() + INNER_GRACE_MS, () => this.finish());
  }

  override fail(reason: unknown): void {
    if (this.isCollecting) this.finish();
    else super.fail(reason);
  }

  ask(): void {
    if (this.request === undefined) this.gets.ask(this, Math.min(SLICE_MS, remainingMs(this.deadline)));
  }

  protected override timedOut(): Error {
    return new QueueEmptyError();
  }

  protected override leave(): void {
    this.left = true;
    this.early?.cancel();
    this.gets.left(this);
  }
}
