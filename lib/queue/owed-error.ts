/** Errors that struck a call of several items after its first ones, and are owed to the next call: they may be all that is left of an item. */
import type { Queue } from './types';

/** The method's name; no part of what programs see. */
export const throwOwedError: unique symbol = Symbol('throwOwedError');

/**
 * A queue whose class has a get of its own and knows nothing of owed errors: as itself, but that its get throws them first. Its methods run
 * on the queue itself, so that private fields are within their reach.
 */
export function payingOwedErrors<T>(queue: Queue<T> & { [throwOwedError](): void }): Queue<T> {
  const get: Queue<T>['get'] = async (options) => {
    queue[throwOwedError]();
    return queue.get(options);
  };
  return new Proxy(queue, {
    get(_target, key) {
      if (key === 'get') return get;
      const value: unknown = Reflect.get(queue, key, queue);
      return typeof value === 'function' && key !== 'constructor' ? value.bind(queue) : value;
    },
    set: (_target, key, value) => Reflect.set(queue, key, value, queue),
  });
}

/** What every get says for as long as it is so. By code: an inner queue may come from another copy of the package. */
export const isPersistent = (error: unknown): boolean =>
  ['ERR_QUEUE_EMPTY', 'ERR_QUEUE_SHUT_DOWN', 'ERR_QUEUE_CLOSED'].includes(
    (error as { code?: string } | null)?.code ?? '',
  );
