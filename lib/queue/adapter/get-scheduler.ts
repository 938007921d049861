/** The gets of one handle out of an inner queue that may know nothing of waiting, timeouts, signals, shutdown and closing. */
import { QueueClosedError, QueueEmptyError } from '../../errors';
import { ANSWER_MS, INNER_GRACE_MS, isEmpty, isThenable, SLICE_MS, tellsOfAnItem } from './timing';
import { PollingLine } from './poll-queue';
import type { PollingCall } from './poll-queue';
import type { QueueLike, WaitOptions } from '../types';
import { Alarm, deadlineOf, remainingMs } from '../../wait/deadline';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';

export interface Delivery<T> {
  readonly item: T;
  readonly deliveries: number;
  /** In the order in which the inner queue gave them. */
  readonly sequence: number;
}

/** For the next get: an item, or the error that is all that is left of one. */
type Outcome<T> = Delivery<T> | { readonly error: unknown };

/** A get that the inner queue has not answered yet. */
interface Question<T> {
  /** Undefined: who asked has left. */
  getter: Getter<T> | undefined;
  /** Asked with the timeout and the signal of a call that has left. */
  adopted: boolean;
  readonly untilMs: number;
}

class Getter<T> extends PendingCall implements PollingCall {
  readonly deadline: number;
  question: Question<T> | undefined;
  left = false;
  private early: Alarm | undefined;

  constructor(
    readonly own: Wait,
    private readonly gets: InnerGets<T>,
    private readonly resolve: (delivery: Delivery<T>) => void,
    reject: (reason: unknown) => void,
  ) {
    super({ timeoutMs: own.timeoutMs === 0 ? ANSWER_MS : own.timeoutMs + INNER_GRACE_MS, signal: own.signal }, reject);
    this.deadline = deadlineOf(own);
    if (own.timeoutMs === 0) this.early = new Alarm(performance.now() + INNER_GRACE_MS, () => this.gets.lookFor(this));
  }

  give(outcome: Outcome<T>): void {
    if ('error' in outcome) return this.fail(outcome.error);
    this.end();
    this.resolve(outcome);
  }

  ask(): void {
    if (this.question !== undefined) return;
    this.gets.ask(this, Math.min(SLICE_MS, remainingMs(this.deadline)));
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

export class InnerGets<T> {
  /** First to go out: what came back from leases, then what came after its getter had left. */
  private readonly returned: Outcome<T>[] = [];
  /** Oldest first. */
  private readonly waiting = new Set<Getter<T>>();
  private readonly line = new PollingLine();
  /** Oldest first. They cannot be called off, and each one will take an item: the next to come waits for these instead of asking anew. */
  private readonly orphans = new Set<Question<T>>();
  private referenced = true;
  private closed = false;
  private taken = 0;

  /** @param refused called when a get that may wait found nothing: there may be nothing to wait for. */
  constructor(
    private readonly inner: QueueLike<T>,
    private readonly refused: () => void,
  ) {}

  /** How many gets are sure of an answer at once. */
  get ready(): number {
    return this.returned.length;
  }

  take(options: WaitOptions | undefined, wait: Wait): Promise<Delivery<T>> | Delivery<T> {
    const first = this.returned.shift();
    if (first !== undefined) {
      if ('error' in first) throw first.error;
      return first;
    }
    let answer: PromiseLike<T> | undefined;
    if (this.orphans.size === 0 && (this.line.length === 0 || wait.timeoutMs === 0)) {
      try {
        const taken = this.inner.get(options);
        if (!isThenable(taken)) return this.first(taken);
        answer = taken;
      } catch (error) {
        if (wait.timeoutMs === 0 || !isEmpty(error)) throw error;
      }
    }
    return new Promise((resolve, reject) => {
      const getter = new Getter(wait, this, resolve, reject);
      this.waiting.add(getter);
      getter.setReferenced(this.referenced);
      if (answer !== undefined) this.follow(answer, getter, getter.deadline);
      else if (this.orphans.size > 0) this.adopt(getter);
      else this.mayWait(getter, true);
    });
  }

  private first(item: T): Delivery<T> {
    return { item, deliveries: 1, sequence: this.taken++ };
  }

  ask(getter: Getter<T>, timeoutMs: number): void {
    if (this.orphans.size > 0) return this.adopt(getter);
    const answer = (async () => this.inner.get(timeoutMs === 0 ? { block: false } : { timeoutMs }))();
    this.follow(answer, getter, performance.now() + timeoutMs);
  }

  private adopt(getter: Getter<T>): void {
    const [orphan] = this.orphans as Iterable<Question<T>> as [Question<T>];
    this.orphans.delete(orphan);
    orphan.adopted = true;
    link(orphan, getter);
  }

  private follow(answer: PromiseLike<T>, getter: Getter<T>, untilMs: number): void {
    const question: Question<T> = { getter: undefined, adopted: false, untilMs };
    link(question, getter);
    answer.then(
      (item) => this.answered(question, this.first(item)),
      (error) => this.failed(question, error),
    );
  }

  private answered(question: Question<T>, outcome: Outcome<T>): void {
    const { getter } = question;
    this.orphans.delete(question);
    const [oldest] = this.waiting;
    if (oldest === undefined) return this.keep(outcome, 'last');
    if (getter !== undefined) getter.question = undefined;
    const { question: spare } = oldest;
    oldest.give(outcome);
    if (getter === undefined || getter === oldest) return;
    // The oldest one's own question is still open; who lost the answer waits for that one.
    if (spare !== undefined) this.adopt(getter);
    else this.mayWait(getter, false);
  }

  private failed(question: Question<T>, error: unknown): void {
    const { getter } = question;
    this.orphans.delete(question);
    if (getter === undefined) {
      // An item that cannot be decoded is gone from the queue. Any other error comes again where it matters.
      if (tellsOfAnItem(error)) this.keep({ error }, 'last');
      return;
    }
    getter.question = undefined;
    if (question.adopted && !tellsOfAnItem(error)) return getter.ask();
    if (!isEmpty(error) || remainingMs(getter.deadline) === 0) return getter.fail(error);
    this.mayWait(getter, performance.now() < question.untilMs);
  }

  private mayWait(getter: Getter<T>, early: boolean): void {
    this.line.refused(getter, early);
    this.refused();
  }

  /** The inner queue owes an answer to a call that does not wait: if nothing is there, it may owe it for ever. */
  lookFor(getter: Getter<T>): void {
    const look = async (): Promise<void> => {
      if ((await this.inner.empty()) && !getter.left) getter.fail(new QueueEmptyError());
    };
    look().catch(() => {});
  }

  /** For the oldest that waits or the next to come; once closed, for the inner queue, which others may still use. */
  keep(outcome: Outcome<T>, place: 'first' | 'last'): void {
    const [oldest] = this.waiting;
    if (oldest !== undefined) oldest.give(outcome);
    else if (this.closed) this.putBack(outcome);
    else if (place === 'first') this.returned.unshift(outcome);
    else this.returned.push(outcome);
  }

  /** The item comes again, ahead of those that were not taken, in the order it had. */
  requeue({ item, deliveries, sequence }: Delivery<T>): void {
    const again = { item, deliveries: deliveries + 1, sequence };
    const [oldest] = this.waiting;
    if (oldest !== undefined) return oldest.give(again);
    const at = this.returned.findIndex((other) => !('sequence' in other) || other.sequence > sequence);
    this.returned.splice(at === -1 ? this.returned.length : at, 0, again);
  }

  private putBack(outcome: Outcome<T>): void {
    const put = async (): Promise<void> => {
      if ('error' in outcome) throw outcome.error;
      await this.inner.put(outcome.item);
    };
    put().catch((error: unknown) => {
      process.emitWarning(`An item that came after its handle was closed could not be put back: ${String(error)}`);
    });
  }

  left(getter: Getter<T>): void {
    this.waiting.delete(getter);
    this.line.leave(getter);
    const { question } = getter;
    if (question === undefined) return;
    getter.question = undefined;
    question.getter = undefined;
    this.orphans.add(question);
  }

  failAll(reason: () => Error): void {
    for (const getter of [...this.waiting]) getter.fail(reason());
  }

  /** The items that no get has had yet. */
  takeReturned(): T[] {
    return this.returned.splice(0).flatMap((outcome) => ('error' in outcome ? [] : [outcome.item]));
  }

  close(): void {
    this.closed = true;
    this.failAll(() => new QueueClosedError());
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const getter of this.waiting) getter.setReferenced(referenced);
  }
}

function link<T>(question: Question<T>, getter: Getter<T>): void {
  question.getter = getter;
  getter.question = question;
}
