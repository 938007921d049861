/** One lease, as programs see it, whatever queue it is of; and how its end is told. */
import { asyncDispose } from '../util/dispose';
import { isTurnOver, nextTurn } from '../wait/fairness';
import type { Awaitable, Lease } from './types';

/** What every end of leases that the queue is told of at once returns. */
const TOLD = Promise.resolve();

/** Ends leases, which count as so many answers, and leaves the event loop its turns. */
export function told(end: () => Awaitable<void>, count: number): Promise<void> {
  try {
    const ended = end();
    return ended === undefined ? goOn(count) : goOnAfter(ended, count);
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

const goOn = (count: number): Promise<void> => (isTurnOver(count) ? nextTurn() : TOLD);
const goOnAfter = (ended: PromiseLike<void>, count: number): Promise<void> =>
  Promise.resolve(ended).then(() => goOn(count));

/** What it can do is its own, not its class's: a program may take it off (`const { item, ack } = …`) or spread it. */
export class HeldLease<T> implements Lease<T> {
  readonly ack: () => Promise<void>;
  readonly release: () => Promise<void>;
  readonly [asyncDispose]: () => Promise<void>;

  /** @param end ends it, unless it has ended */
  constructor(
    readonly item: T,
    readonly deliveries: number,
    readonly crashes: number,
    end: (acknowledge: boolean) => Awaitable<void>,
  ) {
    this.ack = () => told(() => end(true), 1);
    this.release = () => told(() => end(false), 1);
    this[asyncDispose] = this.release;
  }
}
