/** The loop over a queue: `for await (const item of queue)`. */
import { QueueShutDownError } from '../errors';
import { afterTurn, isTurnOver, refused } from '../wait/fairness';
import { isThenable } from '../util/thenable';
import { throwOwedError } from './owed-error';
import type { Queue } from './types';

const { isView } = ArrayBuffer;

/** The method's name; no part of what programs see. */
export const takeAtHand: unique symbol = Symbol('takeAtHand');

interface Loopable<T> extends Pick<Queue<T>, 'get'> {
  [throwOwedError](): void;
  [takeAtHand](): IteratorYieldResult<T> | undefined;
}

/** Ends with the queue, and takes nothing ahead. What is at hand is given without a wait that could be called off. */
export function iterateItems<T>(queue: Loopable<T>): AsyncIterator<T> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const done = { done: true, value: undefined } as const;
  let hasLeft = false;
  const endOf = (error: unknown): typeof done => {
    if (error instanceof QueueShutDownError || error === done) return done;
    throw error;
  };
  const answer = async (ask: () => T | PromiseLike<T>): Promise<IteratorResult<T>> => {
    try {
      return { done: false, value: await ask() };
    } catch (error) {
      return endOf(error);
    }
  };
  const answerInTurn = async (value: T): Promise<IteratorResult<T>> => {
    const item = await answer(() => value);
    return isTurnOver(1) ? afterTurn(item) : item;
  };
  return {
    next: () => {
      if (hasLeft) return Promise.resolve(done);
      try {
        queue[throwOwedError]();
        const item = queue[takeAtHand]();
        if (item !== undefined) {
          // As from get(), whose promise awaits it. Not of bytes: to ask them takes V8 longer than all the rest.
          if (!isView(item.value) && isThenable(item.value)) return answerInTurn(item.value);
          if (isTurnOver(1)) return afterTurn(item);
          // V8, which has looked at it here, knows that it has no `then` that a promise would have to ask.
          void item.done;
          return Promise.resolve(item);
        }
      } catch (error) {
        return refused(error).catch(endOf);
      }
      return answer(() => queue.get({ signal }));
    },
    // A get that still waits is called off, so that no item goes to a loop that has left.
    return: async () => {
      hasLeft = true;
      leaving.abort(done);
      return done;
    },
  };
}
