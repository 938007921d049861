/** The items of a putMany, one at a time, out of whatever it was given. */
import { describeValue } from '../util/describe-value';
import { isTurnOver, nextTurn } from '../wait/fairness';

/**
 * `item`: one is at hand. `soon`: it was asked for, and may come in this turn of the event loop. `silent`: it was asked for, and others
 * need not wait for it. `done`: that was all.
 */
export type FeedState = 'item' | 'soon' | 'silent' | 'done';

/** Not by `in`: a string is iterable too. */
export const isIterable = <T>(items: Iterable<T> | AsyncIterable<T>): items is Iterable<T> =>
  typeof (items as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] === 'function';

export abstract class ItemFeed<T> {
  /** The next item, while the state is `item`. */
  item!: T;

  /** @throws what the source throws */
  abstract look(): FeedState;

  /** The item was used. */
  abstract take(): void;

  /** No more items are wanted. Resolves when the source has been told, but waits for none that is silent. */
  abstract leave(): Promise<void>;

  /** @param spoke called when an asynchronous source that was waited for has spoken, or counts as silent */
  static of<T>(items: Iterable<T> | AsyncIterable<T>, spoke: () => void): ItemFeed<T> {
    if (isIterable(items)) return new SyncFeed(items);
    if (typeof (items as Partial<AsyncIterable<T>> | null | undefined)?.[Symbol.asyncIterator] !== 'function') {
      throw new TypeError(
        `putMany(items, options?) takes an iterable or an async iterable, found ${describeValue(items)}.`,
      );
    }
    return new AsyncFeed(items, spoke);
  }
}

class SyncFeed<T> extends ItemFeed<T> {
  private iterator: Iterator<T> | undefined;
  private state: 'none' | 'item' | 'done' = 'none';

  constructor(private readonly source: Iterable<T>) {
    super();
  }

  look(): FeedState {
    if (this.state === 'none') {
      // What throws has ended: there is nothing to leave then.
      this.state = 'done';
      this.iterator ??= this.source[Symbol.iterator]();
      const result = this.iterator.next();
      if (result.done === true) return 'done';
      this.item = result.value;
      this.state = 'item';
    }
    return this.state;
  }

  take(): void {
    this.state = 'none';
  }

  async leave(): Promise<void> {
    if (this.state !== 'done') this.iterator?.return?.();
    this.state = 'done';
  }
}

class AsyncFeed<T> extends ItemFeed<T> {
  private iterator: AsyncIterator<T> | undefined;
  private state: 'none' | FeedState = 'none';
  private failure: { readonly error: unknown } | undefined;
  private silence: NodeJS.Immediate | undefined;

  constructor(
    private readonly source: AsyncIterable<T>,
    private readonly spoke: () => void,
  ) {
    super();
  }

  look(): FeedState {
    if (this.failure !== undefined) throw this.failure.error;
    if (this.state === 'none') this.ask();
    return this.state as FeedState;
  }

  private ask(): void {
    this.state = 'done';
    this.iterator ??= this.source[Symbol.asyncIterator]();
    const asked = this.iterator.next();
    this.state = 'soon';
    this.silence = setImmediate(() => this.heard('silent'));
    Promise.resolve(asked).then(
      async ({ done, value }) => {
        // A source that always has an item at hand would never let the event loop go on.
        clearImmediate(this.silence);
        if (isTurnOver(1)) await nextTurn();
        this.item = value as T;
        this.heard(done === true ? 'done' : 'item');
      },
      (error: unknown) => {
        this.failure = { error };
        this.heard('done');
      },
    );
  }

  private heard(state: FeedState): void {
    clearImmediate(this.silence);
    this.state = state;
    this.spoke();
  }

  take(): void {
    this.state = 'none';
  }

  async leave(): Promise<void> {
    const { state } = this;
    clearImmediate(this.silence);
    if (state === 'done') return;
    const left = (async (): Promise<unknown> => this.iterator?.return?.())();
    // A generator that is silent answers return() only when it speaks again.
    if (state === 'soon' || state === 'silent') left.catch(() => {});
    else await left;
  }
}
