/** The shapes of queues: what an implementation must offer, and what every resolved queue offers. */
import type { Readable, Writable } from 'node:stream';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { SyncWaitOptions, WaitOptions } from '../wait/options';

export type { SyncWaitOptions, WaitOptions };
/** A value, or a promise of one. */
export type Awaitable<T> = T | PromiseLike<T>;

/** What an implementation must offer: four methods. */
export interface QueueLike<T = unknown> {
  /** @throws QueueFullError */
  put(item: T, options?: WaitOptions): Awaitable<void>;
  /** @throws QueueEmptyError */
  get(options?: WaitOptions): Awaitable<T>;
  /** Whether there is no item now. */
  empty(): Awaitable<boolean>;
  /** How many items there are now. */
  qsize(): Awaitable<number>;
}

/**
 * What every resolved queue offers. Waiting calls of one handle are served in order. An item that a get returned never comes again.
 * A get that cannot decode removes the item and throws SerializationError carrying its `bytes` and `codecId`.
 */
export interface Queue<T = unknown> extends QueueLike<T>, AsyncIterable<T>, AsyncDisposable {
  /** What the queue was resolved from. */
  readonly descriptor: QueueDescriptor;
  /** Waits for room. Shared memory and rpc read the item before this returns its promise, and it may change from then on; `local` keeps the item itself. */
  put(item: T, options?: WaitOptions): Promise<void>;
  get(options?: WaitOptions): Promise<T>;
  /** Whether there is no item now. */
  empty(): Promise<boolean>;
  /** Whether a put would have to wait now. */
  full(): Promise<boolean>;
  /** How many items there are now, those on lease not counted. */
  qsize(): Promise<number>;
  /** All items, in order, read and waiting for room as needed; `timeoutMs` bounds the whole call: QueueFullError where there was no room by then, QueueTimeoutError where an asynchronous source was silent. Resolves to how many went in; when it stops early the error carries `accepted`. */
  putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number>;
  /** Waits for one item, then takes what is there, up to max. */
  getMany(max: number, options?: WaitOptions): Promise<T[]>;
  /** Ends when the queue is shut down and drained. */
  [Symbol.asyncIterator](): AsyncIterator<T>;
  /** Object mode. Reads no further ahead than it must; what it holds when destroyed goes back to the queue. Ends at shutdown. */
  readable(): Readable;
  /** Object mode, honours backpressure. end() flushes; it shuts the queue down only with `shutdown: true`. */
  writable(options?: { shutdown?: boolean }): Writable;
  /** Takes an item on lease: it comes again, ahead of every item not yet taken, if this process dies or the lease is released or disposed before ack(). */
  lease(options?: WaitOptions): Promise<Lease<T>>;
  /** Waits for one item, then leases what is there, up to max (rpc: and up to its message size): at-least-once at the speed of getMany. */
  leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>>;
  /**
   * Resolves when nothing is in the queue and nothing is on lease or taken and not yet released, anywhere; what died with its holder is
   * settled before it counts. A plain get finishes its item when it takes it, unlike Python's JoinableQueue: use leases. Before the first
   * put it resolves at once.
   * @throws QueueTimeoutError; TypeError for types that cannot know (custom ones, foreign Ray actors)
   * @example
   * await jobs.putMany(work);
   * await jobs.join({ timeoutMs: 60_000 }); // every lease on them is acknowledged
   */
  join(options?: Omit<WaitOptions, 'block'>): Promise<void>;
  /**
   * As Python 3.13: no more puts anywhere (QueueShutDownError); gets drain what is left (leased items included), unless immediate.
   * A queue that is shut down and drained is finished: those attached get QueueShutDownError; once nobody is attached the next one to come starts a new queue.
   * So whoever shuts it down stays attached until every reader has come and gone: one that starts after the last close would wait at a new, empty queue.
   */
  shutdown(options?: { immediate?: boolean }): Promise<void>;
  /** Lets go of this handle; idempotent. The queue lives on for others. Pending and later calls: QueueClosedError; open leases go back. */
  close(): Promise<void>;
  /** As for sockets: whether a waiting call keeps the process alive. Default: it does. */
  ref(): this;
  /** Waiting calls do not keep the process alive. */
  unref(): this;
  /** Counters of the queue. */
  stats(): Promise<QueueStats>;
}

/** What `stats()` tells. */
export interface QueueStats {
  /** Of the descriptor. */
  queueId: string;
  /** What it resolved to; for `auto` the type it became. */
  queueType: string;
  /** Items there now, those on lease not counted. */
  qsize: number;
  /** Most items; 0: no limit but the bytes. */
  maxsize: number;
  /** Totals since the queue was made, over all processes. */
  putTotal: number;
  /** Items taken for good since the queue was made, over all processes. */
  getTotal: number;
  /** Shared-memory types also: */
  capacityBytes?: number;
  /** Bytes of payload that are taken now. */
  usedBytes?: number;
  /** Bytes put since the queue was made, over all processes. */
  putBytesTotal?: number;
  /** Entries of the segment's table, one for each thread that has it open, and whether its process lives; `foreign`: of another pid namespace, in which alone its pid means something. */
  attached?: { pid: number; alive: boolean; foreign?: true }[];
  /** Who waits for an item now: in shared memory so many threads, whatever number of calls each; on other types so many calls. */
  waitingGetters?: number;
  /** Who waits for room now, counted the same way. */
  waitingPutters?: number;
  /** Items that were saved from processes that died while they put or took them. */
  recovered?: number;
  /** Items that came again from leases. */
  redelivered?: number;
  /** On lease now, over all processes. */
  leased?: number;
}

/** An item on lease. Disposal before `ack()` gives it back. */
export interface Lease<T> extends AsyncDisposable {
  /** The item; it stays in the queue until `ack()`. */
  readonly item: T;
  /** 1 the first time. */
  readonly deliveries: number;
  /** Proved deaths of processes that held this item; `deliveries` counts every return. */
  readonly crashes: number;
  /** The item was handled: it is removed for good. @throws QueueClosedError when the item went back with its handle */
  ack(): Promise<void>;
  /** Gives the item back: it comes again, ahead of those not yet taken. */
  release(): Promise<void>;
}

/** Items on lease together. Disposal gives back what is still on lease. */
export interface LeaseBatch<T> extends AsyncDisposable {
  /** The items, in order. */
  readonly items: readonly T[];
  /** One for each item, made when asked for. */
  readonly leases: readonly Lease<T>[];
  /** Covers those still open, as `release` does; a second end does nothing. */
  ack(): Promise<void>;
  /** Gives back those still open, in the order they had. */
  release(): Promise<void>;
}

/** A lease that can be ended without awaiting. */
export interface NativeLease<T> extends Lease<T>, Disposable {
  /** As `ack()`, at once. */
  ackSync(): void;
  /** As `release()`, at once. */
  releaseSync(): void;
}

/** shm and sage_queue: the calls that block the thread (for workers, scripts and benchmarks), and the native extras. */
export interface NativeQueue<T = unknown> extends Queue<T>, Disposable {
  /** Puts an item, and blocks the thread for room. @throws QueueFullError, QueueShutDownError, ItemTooLargeError, SerializationError */
  putSync(item: T, options?: SyncWaitOptions): void;
  /** Takes the next item, and blocks the thread for it. @throws QueueEmptyError, QueueShutDownError, SerializationError (the item is removed) */
  getSync(options?: SyncWaitOptions): T;
  /** Puts all, in order, and blocks for room. Returns how many; when it stops early the error carries `accepted`. */
  putManySync(items: readonly T[], options?: SyncWaitOptions): number;
  /** Blocks for one item, then takes what is there, up to `max`. @throws QueueEmptyError, QueueShutDownError */
  getManySync(max: number, options?: SyncWaitOptions): T[];
  /** Whether there is no item now. */
  emptySync(): boolean;
  /** How many items there are now, those on lease not counted. */
  qsizeSync(): number;
  /** The next item without taking it; undefined when there is none. */
  peekSync(): { item: T } | undefined;
  /** Takes the next item on lease, and blocks the thread for it. @throws QueueEmptyError, QueueShutDownError */
  leaseSync(options?: SyncWaitOptions): NativeLease<T>;
  /** Removes the name. Attached processes keep working until they close; whoever comes by the name later starts a new queue. */
  unlinkSync(): void;
  /** As `close()`, at once. */
  closeSync(): void;
}

/** sage_queue only: bytes in place, no copy on the way in or out. */
export interface SageQueue<T = unknown> extends NativeQueue<T> {
  /** Room for exactly `bytes`, to be filled by the caller, then commit() or abort(). */
  claimSync(bytes: number, options?: SyncWaitOptions): Claim;
  /**
   * Calls back with a view that is valid only during the call. Returns how many were handled. If the handler throws, its item goes back and
   * the error comes out; a handler that returns a promise is a TypeError.
   */
  consumeSync(handler: (view: Uint8Array) => void, max?: number, options?: SyncWaitOptions): number;
}

/** One open claim per handle at a time; disposal aborts. */
export interface Claim extends Disposable {
  /** Room in the queue itself, to be filled. @throws TypeError once the claim has ended */
  readonly bytes: Uint8Array;
  /** Puts what lies there. @throws TypeError once the claim has ended; QueueShutDownError after an immediate shutdown */
  commit(): void;
  /** Gives the room back; nothing was put. Does nothing once the claim has ended. */
  abort(): void;
}

/** A function that has a `prototype` is called with `new`, any other is called. */
export type QueueImplementation<T = unknown> =
  | (new (descriptor: QueueDescriptor, options?: ResolveOptions) => QueueLike<T>)
  | ((descriptor: QueueDescriptor, options?: ResolveOptions) => QueueLike<T>);

/** What `resolveDescriptor` takes. */
export interface ResolveOptions {
  /** 'if-missing' (default); 'never': attach only, else QueueNotFoundError; 'exclusive': create only, else QueueExistsError. */
  create?: 'if-missing' | 'never' | 'exclusive';
  /** Secrets and certificates of remote types; never part of a descriptor. */
  credentials?: { token?: string; ca?: string; cert?: string; key?: string };
  /**
   * This handle is a producer's (`local`, `shm`, `sage_queue`; elsewhere InvalidDescriptorError). Once `expect` of them (default 1) have
   * come and the last one has closed, the queue is shut down: readers drain and end, as at the end of a pipe whose last writer has gone.
   * Where one of them ended without close(), by a kill, an exception or just so, readers drain and then get QueueProducerLostError. A queue that ended so stays until a reader has
   * seen the end. A forked child inherits the role. Who comes after the end gets QueueShutDownError.
   */
  producer?: boolean | { expect: number };
  /**
   * rpc: how many items may be read ahead for loops and streams. Default: as many as the program turns out to take; 0: none. What was not
   * shown to the program goes back with its deliveries unchanged.
   */
  prefetch?: number;
  /**
   * rpc and Ray: how long calls that do not wait for the queue (`qsize`, `stats`, `shutdown`, a lease's `ack`, `block: false`) wait for the
   * server or actor; on Ray also how much longer than its `timeoutMs` a call does. Default 3000.
   */
  answerTimeoutMs?: number;
}

/** The interface that a queue type resolves to; the queue's own descriptor is of that type too. */
export type QueueFor<K extends string, T> = (K extends 'sage_queue'
  ? SageQueue<T>
  : K extends 'shm'
    ? NativeQueue<T>
    : Queue<T>) & { readonly descriptor: QueueDescriptor<K> };
