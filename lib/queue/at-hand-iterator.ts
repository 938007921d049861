/** What a `for await` over one of our streams gets: what is at hand, past Node's own iterator, which takes longer over an item than a queue. */
import { asyncDispose } from '../util/dispose';

/** A stream that gives its items to a loop without passing them through its own buffer. */
export interface AtHand<T> {
  /** The next item, taken out of the stream. Undefined: it has to be fetched, or Node's iterator knows what comes next. */
  takeAtHand(): IteratorYieldResult<T> | undefined;
  /** Over once something is at hand, or once Node's iterator knows what comes next: an end, an error, an item of the buffer. Undefined: it is. Never fails. */
  fetch(): Promise<void> | undefined;
}

/**
 * All calls are answered in the order in which they were made: what is at hand is given only while none waits.
 *
 * @param usual the stream's own, which knows of ends and errors
 */
export function iterateAtHand<T>(stream: AtHand<T>, usual: NodeJS.AsyncIterator<T>): NodeJS.AsyncIterator<T> {
  // Node's is a generator: it watches its stream, and cleans up behind itself, only between its first answer and its return.
  let isWatching = false;
  let hasLeft = false;
  let last: Promise<IteratorResult<T>> | undefined;
  const ask = async (): Promise<IteratorResult<T>> => {
    if (isWatching) {
      await stream.fetch();
      const item = stream.takeAtHand();
      if (item !== undefined) return item;
    }
    isWatching = !hasLeft;
    return usual.next();
  };
  const askAfter = async (before: Promise<unknown>): Promise<IteratorResult<T>> => {
    await before.catch(() => {});
    return ask();
  };
  const leave = (): void => {
    hasLeft = true;
    isWatching = false;
  };
  return {
    next: () => {
      const item = isWatching && last === undefined ? stream.takeAtHand() : undefined;
      if (item !== undefined) {
        void item.done; // spares the promise a search, as in iterateItems()
        return Promise.resolve(item);
      }
      const asked = last === undefined ? ask() : askAfter(last);
      const over = (): void => {
        if (last === asked) last = undefined;
      };
      last = asked;
      asked.then(over, over);
      return asked;
    },
    return: (value?: unknown) => {
      leave();
      return usual.return!(value);
    },
    throw: (error?: unknown) => {
      leave();
      return usual.throw!(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [asyncDispose]() {
      await this.return!();
    },
  } as NodeJS.AsyncIterator<T>;
}
