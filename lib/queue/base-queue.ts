import type { Readable, Writable } from 'node:stream';
import { asyncDispose } from '../util/dispose';
import type { QueueDescriptor } from '../descriptor/descriptor';
import { QueueClosedError, QueueError } from '../errors';
import { innerOptions, readOwnWait } from './own-wait';
import { Listeners, onHandleClosing, onHandleEnd, onLeasesLost } from './handle-end';
import type { HandleEnded } from './handle-end';
import { interruptible } from './interruptible-source';
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';
import { isIterable } from './item-feed';
import { batchOf } from './lease-batch';
import { LeaseRun } from './lease-table';
import { iterateItems, takeAtHand } from './item-iterator';
import { isPersistent, throwOwedError } from './owed-error';
import { tellRedelivered } from './redelivered-channel';
import type { Awaitable, Lease, LeaseBatch, Queue, QueueStats, WaitOptions } from './types';
import { deadlineOf, remainingMs } from '../wait/deadline';
import { readMax, readAnyWait } from '../wait/options';
import type { Wait } from '../wait/options';

/** Node's own are loaded with them. */
const streams = (): typeof import('./streams') =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  require('./streams') as typeof import('./streams');

const batchReadable = (): typeof import('./batch-readable') =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  require('./batch-readable') as typeof import('./batch-readable');

/** The method's name; no part of what programs see. */
export const presentAs: unique symbol = Symbol('presentAs');

/**
 * Everything in `Queue` derived from put, get, empty and qsize. Types that can do better (leases that survive a crash, batches in
 * one crossing) override what they can do better.
 *
 * @example
 * class MyQueue extends BaseQueue<string> {
 *   async put(item, options) { … }   async get(options) { … }   async empty() { … }   async qsize() { … }
 * }
 */
export abstract class BaseQueue<T = unknown> implements Queue<T> {
  /** What the queue was resolved from. */
  readonly descriptor: QueueDescriptor;
  /** What the queue is, where its descriptor leaves that open. */
  protected queueType: string;

  /** For types that have nothing better: what went through this handle. */
  protected putTotal = 0;
  protected getTotal = 0;

  constructor(descriptor: QueueDescriptor) {
    this.descriptor = descriptor;
    this.queueType = descriptor.queueType;
  }

  /** The same handle under a descriptor that left its type open. */
  [presentAs](descriptor: QueueDescriptor): this {
    (this as { descriptor: QueueDescriptor }).descriptor = descriptor;
    return this;
  }

  abstract put(item: T, options?: WaitOptions): Promise<void>;
  abstract get(options?: WaitOptions): Promise<T>;
  /** Whether there is no item now. */
  abstract empty(): Promise<boolean>;
  /** How many items there are now. */
  abstract qsize(): Promise<number>;

  /** Takes back what a lease or a stream returns. A type that can put an item in front should; the default puts it at the end. */
  protected requeue(item: T, _deliveries: number): Awaitable<void> {
    return this.put(item);
  }

  /** `maxsize` as the descriptor has it; 0 = no limit on the number of items. */
  protected get maxsize(): number {
    const { maxsize } = this.descriptor.metadata;
    return typeof maxsize === 'number' ? maxsize : 0;
  }

  /** Whether a put would have to wait now. */
  async full(): Promise<boolean> {
    return this.maxsize > 0 && (await this.qsize()) >= this.maxsize;
  }

  async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readAnyWait(options);
    const deadline = deadlineOf(wait);
    let accepted = 0;
    try {
      const putOne = async (item: T): Promise<void> => {
        await this.put(item, { ...options, timeoutMs: remainingMs(deadline) });
        accepted++;
      };
      // Not one `for await` for both: over a synchronous source it would await items that are themselves promises.
      if (isIterable(items)) {
        for (const item of items) await putOne(item);
      } else {
        // A closed handle says so before the source does anything.
        const source = interruptible(
          items,
          this,
          { signal: wait.signal, deadline, isReferenced: this.isReferenced },
          () => this.empty(),
        );
        for await (const item of source) await putOne(item);
      }
    } catch (error) {
      throw withAccepted(error, accepted, wait);
    }
    return accepted;
  }

  async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const own = readOwnWait(options);
    if (readMax(max) === 0) return [];
    this[throwOwedError]();
    const items = [await this.get(options)];
    try {
      while (items.length < max) items.push(await this.get(innerOptions(own, 0)));
    } catch (error) {
      // Empty is how a batch ends. Any other error is for the next call: what is taken must not be lost to it.
      if (!isPersistent(error)) this.throwNext(error);
    }
    return items;
  }

  private owed: { readonly error: unknown } | undefined;

  /** The next get of this handle throws this error, and takes nothing: it may be all that is left of an item. */
  protected throwNext(error: unknown): void {
    this.owed ??= { error };
  }

  /** Before an item is taken. */
  [throwOwedError](): void {
    const { owed } = this;
    this.owed = undefined;
    if (owed !== undefined) throw owed.error;
  }

  private closeListeners: Listeners | undefined;
  private ended: Listeners | undefined;
  private lost: Listeners | undefined;

  [onHandleClosing](closing: HandleEnded): () => void {
    return (this.closeListeners ??= new Listeners()).add(closing);
  }

  [onHandleEnd](ended: HandleEnded): () => void {
    return (this.ended ??= new Listeners()).add(ended);
  }

  [onLeasesLost](lost: HandleEnded): () => void {
    return (this.lost ??= new Listeners()).add(lost);
  }

  /** For types that override close(), before what the handle has on lease goes back: streams acknowledge what they have shown, and show no more. */
  protected tellClosing(): void {
    this.closeListeners?.tell(new QueueClosedError());
  }

  /**
   * For types that override close() or shutdown(): the handle was closed, or its queue shut down through it. Ends what works for the handle
   * and does not wait at the queue, as a putMany whose source is silent.
   */
  protected tellEnd(reason: Error): void {
    this.ended?.tell(reason);
  }

  /** For types whose leases may go back while the handle is open: all of them have. */
  protected tellLeasesLost(reason: Error): void {
    this.lost?.tell(reason);
  }

  /**
   * For types that can tell at once: the next item, if it is there now and nobody waits for it. Undefined: get() is to be asked, and so it is where that
   * is another one than the type's own.
   */
  [takeAtHand](): IteratorYieldResult<T> | undefined {
    return undefined;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return iterateItems(this);
  }

  readable(): Readable {
    // One at a time where a batch is one that was leased so: what goes back may go to the end.
    if (this.leaseMany === BaseQueue.prototype.leaseMany) return new (streams().QueueReadable)(this, this);
    return new (batchReadable().BatchReadable)(this);
  }

  writable(options?: { shutdown?: boolean }): Writable {
    if (typeof options === 'object' && options !== null) refuseUnknown(options, ['shutdown']);
    return new (streams().QueueWritable)(this, options?.shutdown === true);
  }

  /** A lease within this process: release gives the item back, the death of the process does not. */
  async lease(options?: WaitOptions): Promise<Lease<T>> {
    this[throwOwedError]();
    return this.lend(await this.get(options), 1);
  }

  /** A lease that only this process knows of. */
  protected lend(item: T, deliveries: number): Lease<T> {
    const run = new LeaseRun(1, {
      end: (_from, _to, acknowledge) => (acknowledge ? undefined : this.requeue(item, deliveries)),
      deliveries: () => deliveries,
      crashes: () => 0,
    });
    return run.lease(0, item);
  }

  async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const own = readOwnWait(options);
    if (readMax(max, 'leaseMany') === 0) return batchOf<T>([]);
    const leases = [await this.lease(options)];
    try {
      while (leases.length < max) leases.push(await this.lease(innerOptions(own, 0)));
    } catch (error) {
      // As in getMany.
      if (!isPersistent(error)) this.throwNext(error);
    }
    const batch = batchOf(leases);
    tellRedelivered(this.descriptor, batch);
    return batch;
  }

  async join(_options?: Omit<WaitOptions, 'block'>): Promise<void> {
    throw new TypeError(
      `Queues of type '${this.descriptor.queueType}' cannot know what others hold: join() is not for them. Count what was acknowledged instead.`,
    );
  }

  async shutdown(_options?: { immediate?: boolean }): Promise<void> {
    throw new TypeError(
      `Queues of type '${this.descriptor.queueType}' cannot be shut down: override shutdown() in the implementation.`,
    );
  }

  async close(): Promise<void> {
    this.tellClosing();
    this.tellEnd(new QueueClosedError());
  }

  /** Whether calls that wait keep the process alive. */
  protected isReferenced = true;

  ref(): this {
    this.setReferenced((this.isReferenced = true));
    return this;
  }

  /** Waiting calls do not keep the process alive. */
  unref(): this {
    this.setReferenced((this.isReferenced = false));
    return this;
  }

  /** What ref() and unref() come to. The calls of a type that has nothing here keep the process alive as whatever they wait for does. */
  protected setReferenced(_referenced: boolean): void {}

  /** Counters of the queue. */
  async stats(): Promise<QueueStats> {
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
      qsize: await this.qsize(),
      maxsize: this.maxsize,
      putTotal: this.putTotal,
      getTotal: this.getTotal,
    };
  }

  /** What console.log shows: one line instead of everything inside. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { queueType, queueId } = this.descriptor;
    // Not every type says so of itself.
    const { closed } = this as { closed?: unknown };
    const state = typeof closed === 'boolean' ? (closed ? ', closed' : ', open') : '';
    return `${this.constructor.name}(${queueType}:${queueId}${state})`;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** An error of this package that ends several calls, as the close of their handle does, once more: each says how many of its own items went in. */
function anotherOf(error: QueueError): QueueError {
  const copy =
    error.constructor === QueueError
      ? new QueueError(error.code, error.message)
      : new (error.constructor as new (message: string) => QueueError)(error.message);
  return Object.defineProperties(copy, Object.getOwnPropertyDescriptors(error));
}

/** Reasons of signals that say, in this turn of the event loop, how many items of some call went in. */
const counted = new WeakSet<object>();

function countsFor(reason: object): void {
  counted.add(reason);
  setImmediate(() => counted.delete(reason));
}

/**
 * The error itself where it can carry the count. What cannot (a primitive, or frozen) becomes the cause of one that does, except for
 * the reason of the signal: the call rejects with that and nothing else. One that ends several calls at a time says no number, unless it is the
 * same for all: it would be another call's. Without `wait` it stays as it is.
 */
export function withAccepted(error: unknown, accepted: number, wait?: Wait): unknown {
  try {
    const isReason = wait?.signal?.aborted === true && error === wait.signal.reason;
    const before = (error as QueueError).accepted;
    const isTaken = !isReason && error instanceof QueueError && before !== undefined && before !== accepted;
    const value = isReason && counted.has(error as object) && before !== accepted ? undefined : accepted;
    const property = { value, enumerable: true, configurable: true, writable: true };
    const told: unknown = Object.defineProperty(isTaken ? anotherOf(error) : error, 'accepted', property);
    if (isReason) countsFor(error as object);
    return told;
  } catch {
    if (wait === undefined || (wait.signal?.aborted && error === wait.signal.reason)) return error;
    return new QueueError(
      'ERR_QUEUE_SOURCE',
      `After ${accepted} items the call ended with ${describeValue(error)}, which cannot carry their number itself; see cause.`,
      { cause: error, accepted },
    );
  }
}
