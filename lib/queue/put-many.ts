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
import type { EndingHandle } from './handle-end';
import { sourceIsSilent, untilLeft } from './interruptible-source';
import { ItemFeed } from './item-feed';

/** Why a step put no more: `full`: there is no room. `more`: it has put enough for one step. The others as a feed says them. */
export type PutStep = 'full' | 'more' | 'soon' | 'silent' | 'done';

export interface PutManyTarget {
  /** How many items are in. */
  accepted(): number;
  /** Puts what comes next, as far as there is room, and not many at once. */
  step(): PutStep;
  readonly full: () => Error;
  /** Serves the line that the call stands in. */
  readonly serve: () => void;
  /** The call goes on waiting: what it holds must be its own from here on. */
  readonly own?: (() => void) | undefined;
}

/** Serves the line, and lets the call in. @returns its result, or the wait for it */
export type EnterLine = (request: PutManyRequest) => number | Promise<number>;

export interface PutManyRequest {
  /** Without a timeout: when the time is over, a last try puts what is at hand, and then says why the call ends. */
  readonly wait: Wait;
  readonly attempt: Attempt<number>;
  readonly late: () => Error;
  /** Its time is over, or was from the start: others do not hold it up. */
  readonly mayPass: () => boolean;
}

export async function putManyInLine(wait: Wait, target: PutManyTarget, enter: EnterLine): Promise<number> {
  const deadline = deadlineOf(wait);
  const alarm = new Alarm(deadline, target.serve);
  /** How many of the items the event loop's turns were told of. */
  let counted = 0;
  let pausing = false;
  const attempt: Attempt<number> = () => {
    const outcome = advance();
    if (typeof outcome !== 'object') target.own?.();
    return outcome;
  };
  const advance: Attempt<number> = () => {
    while (!pausing) {
      const step = target.step();
      if (isOver()) pause();
      else if (step === 'done') return { value: target.accepted() };
      else if (step === 'full') {
        if (remainingMs(deadline) > 0) return undefined;
        throw target.full();
      } else if (step === 'silent') {
        if (remainingMs(deadline) > 0) return ASIDE;
        throw sourceIsSilent();
      } else if (step === 'soon') return HOLDS;
    }
    return HOLDS;
  };
  const isOver = (): boolean => {
    const moved = target.accepted() - counted;
    counted += moved;
    return moved > 0 && isTurnOver(moved);
  };
  const pause = (): void => {
    pausing = true;
    void nextTurn().then(() => {
      pausing = false;
      target.serve();
    });
  };
  try {
    const untimed = { timeoutMs: Infinity, signal: wait.signal };
    return await enter({ wait: untimed, attempt, late: target.full, mayPass: () => remainingMs(deadline) === 0 });
  } catch (error) {
    if (isOver()) await nextTurn();
    throw withAccepted(error, target.accepted(), wait);
  } finally {
    alarm.cancel();
  }
}

/** What a queue says of a putMany that goes item by item. */
export interface ItemPuts<T> extends Pick<PutManyTarget, 'full' | 'serve' | 'own'> {
  readonly handle: EndingHandle;
  /** @throws when the call is over: its source may have closed the handle, shut the queue down or aborted the call */
  check(): void;
  /** Whether the item went in; it is asked again for the same one. */
  tryPut(item: T): boolean;
}

/** The same of a queue that takes one item after the other, whatever they come from. */
export async function putItemsInLine<T>(
  wait: Wait,
  items: Iterable<T> | AsyncIterable<T>,
  puts: ItemPuts<T>,
  enter: EnterLine,
): Promise<number> {
  const deadline = deadlineOf(wait);
  const steps = new ItemSteps(items, puts);
  try {
    return await putManyInLine(wait, steps, enter);
  } catch (error) {
    const left = steps.feed.leave();
    if (left !== undefined) await untilLeft(left, puts.handle, { signal: wait.signal, deadline }, () => puts.check());
    throw error;
  }
}

/** The most items of one step: so often the event loop's turns are told of them. */
const ITEMS_PER_STEP = 64;

class ItemSteps<T> implements PutManyTarget {
  readonly feed: ItemFeed<T>;
  readonly full: () => Error;
  readonly serve: () => void;
  readonly own: (() => void) | undefined;
  private count = 0;

  constructor(
    items: Iterable<T> | AsyncIterable<T>,
    private readonly puts: ItemPuts<T>,
  ) {
    this.feed = ItemFeed.of(items, puts.serve);
    ({ full: this.full, serve: this.serve, own: this.own } = puts);
  }

  accepted(): number {
    return this.count;
  }

  step(): PutStep {
    const { feed, puts } = this;
    for (let left = ITEMS_PER_STEP; left > 0; left--) {
      const state = feed.look();
      if (state === 'done') return state;
      puts.check();
      if (state !== 'item') return state;
      if (!puts.tryPut(feed.item)) return 'full';
      feed.take();
      this.count++;
    }
    return 'more';
  }
}
