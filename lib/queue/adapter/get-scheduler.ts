/** The gets of one handle out of an inner queue that may know nothing of waiting, timeouts, signals, shutdown and closing. */
import { QueueClosedError, QueueEmptyError } from '../../errors';
import type { QueueLike, WaitOptions } from '../types';
import { answerWithin, remainingMs } from '../../wait/deadline';
import { OpenAnswers } from './open-answers';
import { PendingGet } from './pending-get';
import type { Delivery, GetsOfHandle, InnerRequest, Outcome } from './pending-get';
import { innerOptions } from '../own-wait';
import type { OwnWait } from '../own-wait';
import { Poller } from './poller';
import { isPersistent } from '../owed-error';
import { ANSWER_MS, isDecodeError, isEmpty, isFull } from './timing';
import { isThenable } from '../../util/thenable';

/** How long the inner queue of a closed handle is asked to take back all that this still had. */
const RESTORE_WITHIN_MS = 2000;
const RESTORE_PAUSE_MS = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const settlesWithin = (ms: number, promise: Promise<void>): Promise<boolean> =>
  answerWithin(ms, promise, () => new Error('late')).then(
    () => true,
    () => false,
  );

export interface TakeRequest<T, R> {
  readonly max: number;
  readonly lease: boolean;
  readonly options: WaitOptions | undefined;
  readonly wait: OwnWait;
  readonly bring: (deliveries: Delivery<T>[]) => R;
}

export class GetScheduler<T> implements GetsOfHandle<T> {
  /** First to go out: what came back from leases, then what came after its caller had left. */
  private readonly returned: Outcome<T>[] = [];
  /** Oldest first. */
  private readonly waiting = new Set<PendingGet<T>>();
  readonly poller = new Poller();
  /** Oldest first. They cannot be called off, and each one will take an item: the next to come waits for these instead of asking anew. */
  private readonly detached = new Set<InnerRequest<T>>();
  /** How many requests may be answered in this turn of the event loop: their items may have left the inner queue. */
  private fresh = 0;
  readonly open = new OpenAnswers();
  private referenced = true;
  private closed = false;
  /** What comes for nobody is dropped. */
  private dropping = false;
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

  /** Nobody waits, and nothing is held for anybody. */
  get isIdle(): boolean {
    return this.returned.length === 0 && this.waiting.size === 0 && this.detached.size === 0;
  }

  get mayBringSoon(): boolean {
    return this.fresh > 0;
  }

  /** Items that are to be on lease, held for a call that still takes more. */
  get leasing(): number {
    const [oldest] = this.waiting;
    return oldest?.leasing ?? 0;
  }

  /** One item, and those that are there beside it. @param bring called with them before anybody else's turn comes */
  take<R>({ max, lease, options, wait, bring }: TakeRequest<T, R>): Promise<R> | R {
    const isAlone = this.waiting.size === 0;
    let first = this.returned.shift();
    let answer: PromiseLike<T> | undefined;
    if (first === undefined && this.detached.size === 0 && (!this.poller.isTaken || wait.timeoutMs === 0)) {
      try {
        const taken = this.inner.get(options);
        // What comes for one who waits is the oldest one's.
        if (isThenable(taken) || (!isAlone && wait.timeoutMs > 0)) answer = Promise.resolve(taken);
        else first = this.first(taken);
      } catch (error) {
        if (wait.timeoutMs === 0 || !isEmpty(error)) throw error;
      }
    }
    if (this.closed && answer === undefined) {
      // By what was asked. Nobody has seen what came.
      if (first !== undefined) this.putBack(first);
      throw new QueueClosedError();
    }
    if (first !== undefined && 'error' in first) throw first.error;
    if (first !== undefined && (max === 1 || !isAlone)) return bring([first]);
    return new Promise((resolve, reject) => {
      const call = new PendingGet<T>(max, lease, wait, this, (deliveries) => resolve(bring(deliveries)), reject);
      this.waiting.add(call);
      call.setReferenced(this.referenced);
      if (first !== undefined) call.give(first);
      else if (answer !== undefined) this.follow(answer, call, call.deadline);
      else if (this.detached.size > 0) this.reattach(call);
      else this.mayWait(call, true);
      if (this.closed) call.fail(new QueueClosedError());
    });
  }

  collect(call: PendingGet<T>): void {
    for (let next = this.nextAtOnce(call); next !== undefined; next = this.nextAtOnce(call)) {
      if (call.left) return this.keep(next, 'first');
      if (!call.add(next)) return;
    }
  }

  private nextAtOnce(call: PendingGet<T>): Outcome<T> | undefined {
    const ready = this.returned.shift();
    if (ready !== undefined) return ready;
    // What is on its way comes before what is in the queue.
    if (this.detached.size > 0) return void call.finish();
    try {
      const taken = this.inner.get(innerOptions(call.own, 0));
      if (!isThenable(taken)) return this.first(taken);
      call.boundCollecting();
      this.follow(taken, call, 0);
      return undefined;
    } catch (error) {
      if (!isPersistent(error)) return { error };
      return void call.finish();
    }
  }

  private first(item: T): Delivery<T> {
    return { item, deliveries: 1, sequence: this.taken++ };
  }

  ask(call: PendingGet<T>, timeoutMs: number): void {
    if (this.detached.size > 0) return this.reattach(call);
    const untilMs = performance.now() + timeoutMs;
    const request: InnerRequest<T> = { call: undefined, reattached: false, untilMs };
    link(request, call);
    try {
      const taken = this.inner.get(innerOptions(call.own, timeoutMs));
      if (isThenable(taken)) this.listen(request, taken);
      else this.answered(request, this.first(taken));
    } catch (error) {
      this.failed(request, error);
    }
  }

  private reattach(call: PendingGet<T>): void {
    const [request] = this.detached as Iterable<InnerRequest<T>> as [InnerRequest<T>];
    this.detached.delete(request);
    request.reattached = true;
    link(request, call);
  }

  private follow(answer: PromiseLike<T>, call: PendingGet<T>, untilMs: number): void {
    const request: InnerRequest<T> = { call: undefined, reattached: false, untilMs };
    link(request, call);
    this.listen(request, answer);
  }

  private listen(request: InnerRequest<T>, answer: PromiseLike<T>): void {
    this.fresh++;
    this.open.begin();
    let isFresh = true;
    const isSilent = (): void => {
      if (isFresh) this.fresh--;
      isFresh = false;
    };
    const settle = (): void => {
      clearImmediate(silence);
      isSilent();
      this.open.end();
    };
    const silence = setImmediate(isSilent);
    answer.then(
      (item) => {
        settle();
        this.answered(request, this.first(item));
      },
      (error) => {
        settle();
        this.failed(request, error);
      },
    );
  }

  private answered(request: InnerRequest<T>, outcome: Outcome<T>): void {
    const { call } = request;
    this.detached.delete(request);
    const [oldest] = this.waiting;
    if (oldest === undefined) return this.keep(outcome, 'last');
    if (call !== undefined) call.request = undefined;
    const { request: spare } = oldest;
    oldest.give(outcome);
    if (call === undefined || call === oldest) return;
    // The oldest one's own request is still open; who lost the answer waits for that one.
    if (spare !== undefined) this.reattach(call);
    else this.mayWait(call, false);
  }

  private failed(request: InnerRequest<T>, error: unknown): void {
    const { call } = request;
    this.detached.delete(request);
    if (call === undefined) {
      // An item that cannot be decoded is gone from the queue. Any other error comes again where it matters.
      if (isDecodeError(error)) this.keep({ error }, 'last');
      return;
    }
    call.request = undefined;
    if (call.isCollecting) return isPersistent(error) ? call.finish() : call.failItem(error);
    if (request.reattached && !isDecodeError(error)) return call.ask();
    if (!isEmpty(error) || remainingMs(call.deadline) === 0) return call.fail(error);
    this.mayWait(call, performance.now() < request.untilMs);
  }

  private mayWait(call: PendingGet<T>, early: boolean): void {
    this.poller.refused(call, early);
    this.refused();
  }

  lookFor(call: PendingGet<T>): void {
    const look = async (): Promise<void> => {
      if ((await this.inner.empty()) && !call.left) call.fail(new QueueEmptyError());
    };
    look().catch(() => {});
  }

  /** For the oldest that waits or the next to come; once closed, for the inner queue, which others may still use. */
  keep(outcome: Outcome<T>, place: 'first' | 'last'): void {
    const [oldest] = this.waiting;
    if (oldest !== undefined) oldest.give(outcome);
    else if (this.dropping) return;
    else if (this.closed) this.putBack(outcome);
    else if (place === 'first') this.returned.unshift(outcome);
    else this.returned.push(outcome);
  }

  /** The items come again, ahead of those that were not taken, in the order they had. @param times 0: nobody saw them */
  requeue(deliveries: readonly Delivery<T>[], times: 0 | 1): void {
    for (const { item, deliveries: before, sequence } of deliveries) {
      const at = this.returned.findIndex((other) => !('sequence' in other) || other.sequence > sequence);
      const again = { item, deliveries: before + times, sequence };
      this.returned.splice(at === -1 ? this.returned.length : at, 0, again);
    }
    for (const call of this.waiting) {
      const first = this.returned.shift();
      if (first === undefined) return;
      call.give(first);
    }
  }

  private putBack(outcome: Outcome<T>): void {
    if (!('error' in outcome)) return void this.restore([outcome.item]);
    process.emitWarning(`An item that came after its handle was closed cannot be read: ${String(outcome.error)}`);
  }

  /** What a closed handle still had: the inner queue takes it back, as far as it has room in time. */
  async restore(items: readonly T[]): Promise<void> {
    const deadline = performance.now() + RESTORE_WITHIN_MS;
    let inDoubt = 0;
    for (const item of items) {
      const restored = this.restoreOne(item, deadline);
      if (inDoubt > 0) inDoubt++;
      // One that takes no notice of its options may wait for room for ever.
      else if (!(await settlesWithin(remainingMs(deadline) + ANSWER_MS, restored))) inDoubt = 1;
    }
    if (inDoubt === 0) return;
    process.emitWarning(
      `${inDoubt} items of a closed handle were put back, and not answered: the queue may still take them.`,
    );
  }

  private async restoreOne(item: T, deadline: number): Promise<void> {
    for (;;) {
      try {
        return await this.inner.put(item, innerOptions({ others: {} }, remainingMs(deadline)));
      } catch (error) {
        if (isFull(error) && remainingMs(deadline) > 0) await pause(RESTORE_PAUSE_MS);
        else return process.emitWarning(`An item of a closed handle could not be put back: ${String(error)}`);
      }
    }
  }

  left(call: PendingGet<T>): void {
    this.waiting.delete(call);
    this.poller.leave(call);
    const { request } = call;
    if (request === undefined) return;
    call.request = undefined;
    request.call = undefined;
    this.detached.add(request);
  }

  failAll(reason: () => Error): void {
    for (const call of [...this.waiting]) call.fail(reason());
  }

  /** The items that no get has had yet. */
  takeReturned(): T[] {
    return this.returned.splice(0).flatMap((outcome) => ('error' in outcome ? [] : [outcome.item]));
  }

  /** The items that no get has had yet, and those that come for nobody. */
  drop(): void {
    this.dropping = true;
    this.takeReturned();
  }

  close(): void {
    this.closed = true;
    this.failAll(() => new QueueClosedError());
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const call of this.waiting) call.setReferenced(referenced);
  }
}

function link<T>(request: InnerRequest<T>, call: PendingGet<T>): void {
  request.call = call;
  call.request = request;
}
