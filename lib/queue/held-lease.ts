/** One lease, as programs see it, whatever queue it is of; and how its end is told. */
import { asyncDispose } from '../util/dispose';
import { isTurnOver, nextTurn } from '../wait/fairness';
import type { Awaitable, Lease } from './types';

/** What every end of leases that the queue is told of at once returns. */
const TOLD = Promise.resolve();

/** Ends leases, so many, and leaves the event loop its turns. */
export function told(end: () => Awaitable<void>, count: number): Promise<void> {
  const then = (): Promise<void> => (isTurnOver(count) ? nextTurn() : TOLD);
  try {
    const ended = end();
    return ended === undefined ? then() : Promise.resolve(ended).then(then);
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

/** Its calls are its own, not its class's, so that a program may take them off it: `const { item, ack } = …`. */
export class HeldLease<T> implements Lease<T> {
  readonly ack: () => Promise<void>;
  readonly release: () => Promise<void>;

  /** @param end ends it, unless it has ended */
  constructor(
    readonly item: T,
    readonly deliveries: number,
    readonly crashes: number,
    end: (acknowledge: boolean) => Awaitable<void>,
  ) {
    this.ack = () => told(() => end(true), 1);
    this.release = () => told(() => end(false), 1);
  }

  [asyncDispose](): Promise<void> {
    return this.release();
  }
}
