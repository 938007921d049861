import type { LeaseEnd } from '../../../queue/lease-table';
import type { Wait } from '../../../wait/options';
import type { PutGroup } from './putter';

/** An item as it was taken; whoever takes it ends that once. */
export interface Delivery {
  /** The value, or why it could not be read. */
  readonly item: { value: unknown } | { error: Error };
  /** 1 the first time. */
  readonly deliveries: number;
  /** What goes back comes first where the queue can do that. Rides on the next call. */
  end(how: LeaseEnd): void;
  /** As end, but resolves once the queue knows. */
  endNow(how: LeaseEnd): Promise<void>;
}

export interface BackendState {
  qsize: number;
  maxsize: number;
  putTotal: number;
  getTotal: number;
  leased: number;
  waitingGetters?: number;
  waitingPutters?: number;
  redelivered?: number;
}

/** What a queue on Ray promises, by what its actor can do. */
export interface Promises {
  /** 'at-least-once': an item whose consumer dies comes again. 'at-most-once': it is lost with its consumer. */
  delivery: 'at-least-once' | 'at-most-once';
  /** Whether a put that is retried after a lost session is applied once. */
  idempotentPuts: boolean;
  /** Whether one producer's items stay in order. */
  fifo: boolean;
  /** Whether a waiting get is woken by the cluster, or asks again and again. */
  blocking: 'waits' | 'polls';
  /** Whether `putTotal` and `getTotal` count over all processes, or what went through this handle. */
  totals: 'queue' | 'handle';
}

/** How a queue's items go in and out of an actor. */
export interface Backend {
  readonly promises: Promises;
  /** @param group of one call: none goes in behind one that did not */
  put(item: unknown, wait: Wait, group?: PutGroup): Promise<void>;
  /** At least one, at most `max`. */
  take(max: number, wait: Wait): Promise<Delivery[]>;
  state(): Promise<BackendState>;
  shutdown(immediate: boolean): Promise<void>;
  /** Resolves when nothing is in the queue and nothing on lease. @throws QueueTimeoutError; TypeError where the actor cannot know */
  join(wait: Wait): Promise<void>;
  /** In time also when the actor does not answer. */
  close(): Promise<void>;
  /** The actor is gone: nothing is asked of it any more. */
  forget(): void;
}
