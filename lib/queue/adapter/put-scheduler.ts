/** The puts of one handle into an inner queue that may know nothing of waiting, timeouts, signals, shutdown and closing. */
import { QueueFullError } from '../../errors';
import type { QueueError } from '../../errors';
import type { EndingHandle } from '../handle-end';
import { untilLeft } from '../interruptible-source';
import { ItemFeed } from '../item-feed';
import type { QueueLike } from '../types';
import { innerOptions } from '../own-wait';
import type { OwnWait } from '../own-wait';
import { OpenAnswers } from './open-answers';
import { BatchPut, SinglePut } from './pending-put';
import type { PendingPut, PutsOfHandle, Room } from './pending-put';
import { Poller } from './poller';
import { isFull } from './timing';
import { deadlineOf } from '../../wait/deadline';
import { isThenable } from '../../util/thenable';

export class PutScheduler<T> implements PutsOfHandle<T> {
  readonly poller = new Poller();
  private readonly waiting = new Set<PendingPut<T>>();
  readonly open = new OpenAnswers();
  /** Items that the inner queue may still take although their puts have ended. */
  private inDoubt = 0;
  private referenced = true;

  /**
   * @param accepted called for each item that went in.
   * @param refuse why the handle takes no items, where it takes none.
   */
  constructor(
    readonly inner: QueueLike<T>,
    readonly room: Room,
    readonly accepted: () => void,
    private readonly refuse: () => QueueError | undefined,
    private readonly handle: EndingHandle,
  ) {}

  get mustWait(): boolean {
    return this.inDoubt > 0;
  }

  get refusal(): QueueError | undefined {
    return this.refuse();
  }

  unanswered(): QueueFullError {
    return new QueueFullError('An earlier put into the queue was given up, and the queue has not answered it yet.');
  }

  /** Undefined when the item went in at once. */
  put(item: T, wait: OwnWait): Promise<void> | undefined {
    if (this.mustWait && wait.timeoutMs === 0) throw this.unanswered();
    const straight = !this.mustWait && (wait.timeoutMs === 0 || !this.poller.isTaken);
    let answer: PromiseLike<void> | undefined;
    let refused = !straight;
    if (straight && this.room.isKnownInside()) {
      try {
        const put = this.inner.put(item, innerOptions(wait, 0));
        if (!isThenable(put)) return void this.accepted();
        answer = put;
      } catch (error) {
        if (!isFull(error) || wait.timeoutMs === 0) throw error;
        refused = true;
      }
    }
    return new Promise((resolve, reject) => {
      const put = new SinglePut(item, wait, this, resolve, reject);
      this.enter(put);
      if (!refused && answer === undefined) return put.ask();
      if (answer !== undefined) put.started(answer);
      else this.poller.refused(put, false);
      // What was asked may have closed the handle.
      const { refusal } = this;
      if (refusal !== undefined) put.giveUp(refusal);
    });
  }

  async putMany(items: Iterable<T> | AsyncIterable<T>, wait: OwnWait): Promise<number> {
    const deadline = deadlineOf(wait);
    let spoke = (): void => {};
    const feed = ItemFeed.of(items, () => spoke());
    try {
      return await new Promise<number>((resolve, reject) => {
        const batch = new BatchPut(feed, wait, this, resolve, reject);
        spoke = () => batch.spoke();
        this.enter(batch);
        batch.ask();
      });
    } catch (error) {
      const left = feed.leave();
      const check = (): void => {
        wait.signal?.throwIfAborted();
        if (this.refusal !== undefined) throw this.refusal;
      };
      if (left !== undefined) await untilLeft(left, this.handle, { signal: wait.signal, deadline }, check);
      throw error;
    }
  }

  private enter(put: PendingPut<T>): void {
    this.waiting.add(put);
    this.poller.enter(put);
    put.setReferenced(this.referenced);
  }

  left(put: PendingPut<T>): void {
    this.waiting.delete(put);
    this.poller.leave(put);
  }

  doubt(): void {
    this.inDoubt++;
  }

  settle(): void {
    if (--this.inDoubt === 0) this.poller.wake();
  }

  failAll(reason: () => QueueError): void {
    for (const put of [...this.waiting]) put.giveUp(reason());
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const put of this.waiting) put.setReferenced(referenced);
  }
}
