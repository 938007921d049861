/**
 * A putMany as one call in the line of its handle: those made later wait until its items are in. Where it reads from an asynchronous
 * source, they pass while that is silent.
 */
import { ASIDE, HOLDS } from '../wait/call-line';
import type { Attempt } from '../wait/call-line';
import { Alarm, deadlineOf, remainingMs } from '../wait/deadline';
import { isTurnOver, nextTurn } from '../wait/fairness';
import type { Wait } from '../wait/options';
import { withAccepted } from './base-queue';
import { ItemFeed } from './item-feed';

/** How many items went in, 0 for "no room"; or why there is none to put at present. */
export type PutStep = number | 'soon' | 'silent' | 'done';

export interface PutManyTarget {
  /** Puts what comes next, if there is room. */
  step(): PutStep;
  readonly full: () => Error;
  /** Serves the line that the call stands in. */
  serve(): void;
  /** The call goes on waiting: what it holds must be its own from here on. */
  own?(): void;
}

/** Serves the line, and lets the call in. @returns its result, or the wait for it */
export type EnterLine = (request: PutManyRequest) => number | Promise<number>;

export interface PutManyRequest {
  /** Without a timeout: the time counts where the queue is waited for, and a source may take longer. */
  readonly wait: Wait;
  readonly attempt: Attempt<number>;
  readonly late: () => Error;
  /** Its time is over, or was from the start: others do not hold it up. */
  readonly mayPass: () => boolean;
}

export async function putManyInLine(wait: Wait, target: PutManyTarget, enter: EnterLine): Promise<number> {
  const deadline = deadlineOf(wait);
  const alarm = new Alarm(deadline, () => target.serve());
  let accepted = 0;
  let pausing = false;
  const attempt: Attempt<number> = () => {
    const outcome = advance();
    if (typeof outcome !== 'object') target.own?.();
    return outcome;
  };
  const advance: Attempt<number> = () => {
    while (!pausing) {
      const step = target.step();
      if (step === 'done') return { value: accepted };
      if (typeof step === 'string') return step === 'soon' ? HOLDS : ASIDE;
      if (step === 0) {
        if (remainingMs(deadline) > 0) return undefined;
        throw target.full();
      }
      accepted += step;
      if (!isTurnOver(step)) continue;
      pausing = true;
      void nextTurn().then(() => {
        pausing = false;
        target.serve();
      });
    }
    return HOLDS;
  };
  try {
    const untimed = { timeoutMs: Infinity, signal: wait.signal };
    return await enter({ wait: untimed, attempt, late: target.full, mayPass: () => remainingMs(deadline) === 0 });
  } catch (error) {
    throw withAccepted(error, accepted, wait);
  } finally {
    alarm.cancel();
  }
}

/**
 * The steps of a putMany that goes item by item.
 * @param check throws when the call is over: its source may have closed the handle, or aborted the call
 * @param tryPut whether the item went in; it is asked again for the same one
 */
export class ItemSteps<T> {
  readonly feed: ItemFeed<T>;

  constructor(
    items: Iterable<T> | AsyncIterable<T>,
    serve: () => void,
    private readonly check: () => void,
    private readonly tryPut: (item: T) => boolean,
  ) {
    this.feed = ItemFeed.of(items, serve);
  }

  step(): PutStep {
    const { feed } = this;
    const state = feed.look();
    if (state !== 'item') return state;
    this.check();
    if (!this.tryPut(feed.item)) return 0;
    feed.take();
    return 1;
  }
}
