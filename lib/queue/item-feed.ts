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

/** One that is read as arrays are, in the order of its indices, however it was made. */
const isPlainArray = <T>(items: Iterable<T> | AsyncIterable<T>): items is T[] =>
  Array.isArray(items) && items[Symbol.iterator] === Array.prototype[Symbol.iterator];

/** What an iterator gave, as loops take it. @throws TypeError for what is no object */
export function readStep<T>(step: IteratorResult<T>): IteratorResult<T> {
  if (typeof step === 'object' ? step !== null : typeof step === 'function') return step;
  throw new TypeError(`The iterator of a putMany's source gives { done, value }, found ${describeValue(step)}.`);
}

export abstract class ItemFeed<T> {
  /** The next item, while the state is `item`. */
  item!: T;

  /** @throws what the source throws */
  abstract look(): FeedState;

  /** The item was used. */
  abstract take(): void;

  /** No more items are wanted, since the call has failed: no error of the source counts any more. @returns what one that is not silent does then */
  abstract leave(): Promise<unknown> | undefined;

  /** @param spoke called when an asynchronous source that was waited for has spoken, or counts as silent */
  static of<T>(items: Iterable<T> | AsyncIterable<T>, spoke: () => void): ItemFeed<T> {
    if (isPlainArray(items)) return new ArrayFeed(items);
    if (isIterable(items)) return new IteratorFeed(items);
    if (typeof (items as Partial<AsyncIterable<T>> | null | undefined)?.[Symbol.asyncIterator] !== 'function') {
      throw new TypeError(
        `putMany(items, options?) takes an iterable or an async iterable, found ${describeValue(items)}.`,
      );
    }
    return new AsyncFeed(items, spoke);
  }
}

abstract class SyncFeed<T> extends ItemFeed<T> {
  private state: 'none' | 'item' | 'done' = 'none';

  look(): FeedState {
    if (this.state === 'none') {
      // What throws has ended: there is nothing to leave then.
      this.state = 'done';
      if (this.read()) this.state = 'item';
    }
    return this.state;
  }

  take(): void {
    this.state = 'none';
  }

  leave(): undefined {
    if (this.state === 'done') return;
    this.state = 'done';
    try {
      this.end();
    } catch {
      // See above.
    }
  }

  /** Sets `item`, if there is another. @throws what the source throws */
  protected abstract read(): boolean;

  /** No more is read, though there may be more. */
  protected abstract end(): void;
}

/** What its iterator would bring, without one: that costs more than the rest of what is done for an item in memory. */
class ArrayFeed<T> extends SyncFeed<T> {
  private next = 0;

  constructor(private readonly items: readonly T[]) {
    super();
  }

  protected override read(): boolean {
    const { items, next } = this;
    if (next >= items.length) return false;
    this.item = items[next] as T;
    this.next = next + 1;
    return true;
  }

  protected override end(): void {}
}

class IteratorFeed<T> extends SyncFeed<T> {
  private iterator: Iterator<T> | undefined;

  constructor(private readonly source: Iterable<T>) {
    super();
  }

  protected override read(): boolean {
    this.iterator ??= this.source[Symbol.iterator]();
    const step = readStep(this.iterator.next());
    if (step.done === true) return false;
    this.item = step.value;
    return true;
  }

  protected override end(): void {
    this.iterator?.return?.();
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
      (step) => this.answered(step),
      (error: unknown) => this.failed(error),
    );
  }

  private async answered(step: IteratorResult<T>): Promise<void> {
    let isDone: boolean;
    try {
      isDone = readStep(step).done === true;
      // A source that always has an item at hand would never let the event loop go on.
      clearImmediate(this.silence);
      if (isTurnOver(1)) await nextTurn();
      if (!isDone) this.item = step.value as T;
    } catch (error) {
      return this.failed(error);
    }
    this.heard(isDone ? 'done' : 'item');
  }

  private failed(error: unknown): void {
    this.failure = { error };
    this.heard('done');
  }

  private heard(state: FeedState): void {
    clearImmediate(this.silence);
    this.state = state;
    this.spoke();
  }

  take(): void {
    this.state = 'none';
  }

  leave(): Promise<unknown> | undefined {
    const { state } = this;
    clearImmediate(this.silence);
    if (state === 'done') return undefined;
    const left = (async (): Promise<unknown> => this.iterator?.return?.())().catch(() => {});
    // A generator that is silent answers return() only when it speaks again.
    return state === 'soon' || state === 'silent' ? undefined : left;
  }
}
