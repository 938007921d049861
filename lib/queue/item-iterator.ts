/** The loop over a queue: `for await (const item of queue)`. */
import { QueueShutDownError } from '../errors';
import { afterTurn, isTurnOver, refused } from '../wait/fairness';
import { isThenable } from '../util/thenable';
import { throwOwedError } from './owed-error';
import type { Queue } from './types';

const { isView } = ArrayBuffer;

/** The method's name; no part of what programs see. */
export const takeAtHand: unique symbol = Symbol('takeAtHand');

interface Iterable<T> extends Pick<Queue<T>, 'get'> {
  [throwOwedError](): void;
  [takeAtHand](): IteratorYieldResult<T> | undefined;
}

const itemOf = async <T>(value: T | PromiseLike<T>): Promise<IteratorResult<T>> => ({
  done: false,
  value: await value,
});

/** Ends with the queue, and takes nothing ahead. What is at hand is given without a wait that could be called off. */
export function iterateItems<T>(queue: Iterable<T>): AsyncIterator<T> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const done = { done: true, value: undefined } as const;
  let hasLeft = false;
  const endOf = (error: unknown): typeof done => {
    if (error instanceof QueueShutDownError || error === done) return done;
    throw error;
  };
  const wait = async (): Promise<IteratorResult<T>> => {
    try {
      return await itemOf(queue.get({ signal }));
    } catch (error) {
      return endOf(error);
    }
  };
  return {
    next: () => {
      if (hasLeft) return Promise.resolve(done);
      try {
        queue[throwOwedError]();
        const item = queue[takeAtHand]();
        // As from get(), whose promise has asked it. Bytes are not asked here, which takes V8 longer than the rest of the look.
        if (item !== undefined && !isView(item.value) && isThenable(item.value)) return itemOf(item.value);
        // V8, which has looked at it here, knows that it has no `then` that a promise would have to ask.
        if (item !== undefined && item.done === false) return isTurnOver(1) ? afterTurn(item) : Promise.resolve(item);
      } catch (error) {
        return refused(error).catch(endOf);
      }
      return wait();
    },
    // A get that still waits is called off, so that no item goes to a loop that has left.
    return: async () => {
      hasLeft = true;
      leaving.abort(done);
      return done;
    },
  };
}
