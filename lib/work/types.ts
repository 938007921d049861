/** The shapes of `sage-queue/work`. */
import type { QueueDescriptorJSON } from '../descriptor/descriptor';
import type { QueueLike } from '../queue/types';

/** What a handler is told beside its item; of a batch, the largest of its items. */
export interface Job {
  /** 1 the first time. */
  readonly deliveries: number;
  /** Proved deaths of processes in which a handler had the item. */
  readonly crashes: number;
  /** Aborts at the handler's timeout, at the end of stop()'s grace, and when the lease is lost. */
  readonly signal: AbortSignal;
}

/** What `consume` takes. */
export interface ConsumeOptions<T> {
  /** Handlers that run at a time. Default 1. */
  concurrency?: number;
  /** The handler gets an array of up to so many items. An item that came before comes alone. */
  batch?: number;
  /**
   * After so many failed attempts (deaths of processes that held the item count, by `crashes`) it goes to deadLetter without another call
   * of the handler. TypeError without deadLetter, unless drop is true. Default: no limit.
   */
  maxDeliveries?: number;
  /** Where items go that failed `maxDeliveries` times. */
  deadLetter?: QueueLike<DeadLetter<T>>;
  /** What would be a dead letter is forgotten. */
  drop?: boolean;
  /**
   * Pause in ms before an item that failed comes again, given how often it was delivered; it takes no place of the concurrency.
   * Default: 100 ms doubling up to 30 s, with jitter.
   */
  backoffMs?: (deliveries: number) => number;
  /** So many pausing items keep their lease (and their place in maxsize); more go to the back of the queue. Default: a quarter of maxsize, at least 1. */
  maxWaiting?: number;
  /** A handler that takes longer has failed, and no longer counts as running. */
  timeoutMs?: number;
  /** Told of each failed attempt once, and of what goes wrong while an item is settled. Without it the first failure of a consumer is a process warning. */
  onError?: (error: unknown, item: T, job: Job) => void;
  /** Stops the consumer as stop() does. */
  signal?: AbortSignal;
}

/** At least once: a process that dies between putting it and acknowledging puts it again. */
export interface DeadLetter<T = unknown> {
  /** The item as it was. */
  item: T;
  /** What the last attempt failed with. */
  error: { name: string; message: string; stack?: string };
  /** How often the item was handed out. */
  deliveries: number;
  /** Deaths of processes that held the item. */
  crashes: number;
  /** Where it came from. */
  queue: QueueDescriptorJSON;
  /** Milliseconds since the epoch. */
  failedAtMs: number;
}

/** Counts of items since the consumer started, but `active` and `waitingRetry`, which are of now. */
export interface ConsumerStats {
  /** Handlers that run. */
  active: number;
  /** Items acknowledged after their handler. */
  done: number;
  /** Failed attempts. */
  failed: number;
  /** Dead letters, and what was dropped. */
  dead: number;
  /** Items that pause here. */
  waitingRetry: number;
}

/** A consumer that `consume` or `serve` started. */
export interface Consumer extends AsyncDisposable {
  /**
   * No more items are taken; handlers under way get graceMs (default 10 000), then their signal, then their items go back. Of several calls, and of the
   * signal that stops it, the one whose time is over first counts.
   */
  stop(options?: { graceMs?: number }): Promise<void>;
  /** Resolves when the queue has been shut down and everything is done, or after stop(); rejects when the queue fails. */
  readonly done: Promise<void>;
  /** What it has done, in items. */
  stats(): ConsumerStats;
}
