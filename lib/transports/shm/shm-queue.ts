/**
 * `shm`: a queue in POSIX shared memory, attached by name from any process of this host. The lock-free core, its recovery of dead
 * processes and its waking are native (docs/sage-queue.md); here items become bytes and back, and calls wait.
 */
import type { Readable } from 'node:stream';
import { BaseQueue, withAccepted } from '../../queue/base-queue';
import { CODEC_RAW, decodeItem, encodeItemSpan, encodeOwnItem, isPlainBytes } from '../../codec/registry';
import type { ItemCodec } from '../../codec/registry';
import { syncDispose } from '../../util/dispose';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueShutDownError, QueueTimeoutError } from '../../errors';
import { EMPTY, GETTERS, JOINERS, PUTTERS, REGISTER_CODEC, TOO_LARGE, fromNative, native } from './addon';
import { describeValue } from '../../util/describe-value';
import type { NativeHandle } from './addon';
import type {
  LeaseBatch,
  NativeLease,
  NativeQueue,
  QueueStats,
  ResolveOptions,
  SyncWaitOptions,
  WaitOptions,
} from '../../queue/types';
import { deadlineOf, remainingMs } from '../../wait/deadline';
import { readMax, readShutdown, readWait, SYNC_WAIT_OPTIONS } from '../../wait/options';
import type { Wait } from '../../wait/options';
import { Batches } from './put-batch';
import type { Batch } from './put-batch';
import { BellPull } from './doorbell';
import { HeldBatch } from '../../queue/lease-batch';
import { expectedProducers } from '../../queue/producer-role';
import { LeasedItems, lendEncoded, tryLease } from './leases';
import type { EncodedLeases, EncodedSource } from '../../queue/encoded-source';
import { openQueue } from './open';
import { Pool } from './receive-buffer';
import { emptyError, fullError, refuseGet, refusePut, takesNoMore } from './status-errors';
import { isTurnOver, nextTurn } from '../../wait/fairness';
import { Waiters } from './wait-list';

/** Lent encoded at a time: each put and each lease looks at every lease that is open. */
const MOST_LENT = 128;

/** What every put that is accepted at once returns. */
const ACCEPTED = Promise.resolve();

/** An awaited call that moved items without waiting. */
const answered = <R>(value: R, moved: number): Promise<R> =>
  isTurnOver(moved) ? nextTurn().then(() => value) : Promise.resolve(value);

/** Node's own streams are loaded with it. */
const streams = (): typeof import('../../queue/batch-readable') =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  require('../../queue/batch-readable') as typeof import('../../queue/batch-readable');

export class ShmQueue<T = unknown> extends BaseQueue<T> implements NativeQueue<T>, EncodedSource {
  protected readonly handle: NativeHandle;
  private readonly codec: ItemCodec;
  private readonly pool: Pool<T>;
  private readonly batches: Batches;
  private readonly bell: BellPull;
  private readonly getters: Waiters;
  private readonly putters: Waiters;
  private readonly joiners: Waiters;
  private readonly capacityBytes: number;
  private readonly existingMaxsize: number;
  protected closed = false;

  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    const expected = expectedProducers(options.producer);
    const { handle, configuration, codec } = openQueue(descriptor, options.create ?? 'if-missing');
    this.codec = codec;
    if (expected !== undefined && !native(() => handle.produce(expected))) {
      handle.close();
      throw new QueueShutDownError('The last producer of the queue has gone: it has ended, and takes no more.');
    }
    const { capacityBytes, maxsize } = configuration;
    this.handle = handle;
    this.capacityBytes = capacityBytes;
    this.existingMaxsize = maxsize;
    this.pool = new Pool(this.handle);
    this.batches = new Batches(this.handle, this.codec, this.capacityBytes);
    this.bell = new BellPull(this.handle, configuration, { rung: () => this.rung() });
    this.getters = new Waiters(this.handle, GETTERS, this.bell);
    this.putters = new Waiters(this.handle, PUTTERS, this.bell);
    this.joiners = new Waiters(this.handle, JOINERS, this.bell);
  }

  protected override get maxsize(): number {
    return this.existingMaxsize;
  }

  private rung(): void {
    this.getters.rung();
    this.putters.rung();
    this.joiners.rung();
  }

  private readonly isOpen = (): boolean => !this.closed;

  protected check(): void {
    if (this.closed) throw new QueueClosedError();
  }

  /** Bytes that go in as they are. Empty ones take the way of other items, where it shows whether their memory is still theirs. */
  private isRaw(item: unknown): item is Uint8Array {
    return this.codec === 'auto' && isPlainBytes(item) && item.length > 0;
  }

  /**
   * Tries, and then waits as `options` say. No try block lies around the attempts that bring something at once: V8 makes the Buffers
   * in one half as fast.
   */
  protected block<R>(
    options: SyncWaitOptions | undefined,
    late: () => Error,
    attempt: (waitMs: number) => R | undefined,
  ): R {
    this.check();
    const wait = readWait(options, SYNC_WAIT_OPTIONS);
    const outcome = attempt(0) ?? this.blockUntil(deadlineOf(wait), attempt);
    if (outcome === undefined) throw late();
    return outcome;
  }

  /** Repeats `attempt` in slices that the addon keeps short, until it brings something or the time is over. */
  private blockUntil<R>(deadline: number, attempt: (waitMs: number) => R | undefined): R | undefined {
    try {
      for (let left = remainingMs(deadline); left > 0; left = remainingMs(deadline)) {
        const outcome = attempt(Math.min(1000, Math.ceil(left)));
        if (outcome !== undefined) return outcome;
      }
      return undefined;
    } finally {
      // The handle has one bell for each direction, and this wait took it down: the calls that wait beside it put it up again.
      this.rung();
    }
  }

  // ── synchronous ──────────────────────────────────────────────────────────

  putSync(item: T, options?: SyncWaitOptions): void {
    this.check();
    // The way of most calls: bytes, and there is room.
    if (options === undefined && this.isRaw(item) && native(() => this.handle.putRaw(item)) === 0) return;
    const { codecId, buffer, start, end } = encodeItemSpan(item, this.codec);
    this.block(options, fullError, (waitMs) => {
      const status = native(() => this.handle.put(buffer, start, end, codecId, waitMs));
      if (status === 0) return true;
      refusePut(status, end - start, this.capacityBytes);
      return undefined;
    });
  }

  getSync(options?: SyncWaitOptions): T {
    if (options === undefined && !this.closed) {
      // The way of most calls, without a closure: something is there.
      this.pool.ready();
      const status = native(() => this.handle.getNow(this.pool.offset));
      if (status >= 0) return this.pool.take(status, this.handle.registers[REGISTER_CODEC]!);
      const outcome = this.pool.received(status);
      if (outcome !== undefined) return outcome.value;
    }
    return this.block(options, emptyError, (waitMs) => this.pool.get(waitMs)).value;
  }

  putManySync(items: readonly T[], options?: SyncWaitOptions): number {
    this.check();
    if (!Array.isArray(items)) {
      throw new TypeError(`putManySync takes an array, found ${describeValue(items)}. putMany takes other iterables.`);
    }
    const deadline = deadlineOf(readWait(options, SYNC_WAIT_OPTIONS));
    let accepted = 0;
    try {
      while (accepted < items.length) {
        const batch = this.batches.next(items, accepted);
        for (let done = 0; done < batch.count;) {
          const put = (waitMs: number): number | undefined => this.batches.put(batch, done, waitMs);
          const outcome = put(0) ?? this.blockUntil(deadline, put);
          if (outcome === undefined) throw fullError();
          done += outcome;
          accepted += outcome;
        }
        if (batch.failure !== undefined) throw batch.failure;
      }
    } catch (error) {
      throw withAccepted(error, accepted);
    }
    return accepted;
  }

  getManySync(max: number, options?: SyncWaitOptions): T[] {
    this.check();
    if (readMax(max) === 0) return [];
    const items: T[] = [];
    this.block(options, emptyError, (waitMs) => this.tryGetMany(items, max, waitMs) || undefined);
    this.fillUp(items, max);
    return items;
  }

  emptySync(): boolean {
    return this.qsizeSync() === 0;
  }

  qsizeSync(): number {
    this.check();
    return native(() => this.handle.qsize());
  }

  peekSync(): { item: T } | undefined {
    this.check();
    const bytes = native(() => this.handle.peek());
    if (bytes === undefined) return undefined;
    const codec = this.handle.registers[REGISTER_CODEC]!;
    return { item: decodeItem(codec, bytes, 0, bytes.length, 'It is still in the queue') as T };
  }

  leaseSync(options?: SyncWaitOptions): NativeLease<T> {
    return this.block(options, emptyError, (waitMs) => tryLease<T>(this.handle, this.isOpen, waitMs)).value;
  }

  unlinkSync(): void {
    this.check();
    native(() => this.handle.unlink());
  }

  closeSync(): void {
    if (this.closed) return;
    this.closed = true;
    const reason = (): QueueClosedError => new QueueClosedError();
    this.getters.failAll(reason);
    this.putters.failAll(reason);
    this.joiners.failAll(reason);
    this.bell.detach();
    this.handle.close();
    this.tellEnd(reason());
  }

  // ── asynchronous ─────────────────────────────────────────────────────────

  // Not async functions: where the answer is there at once, they would cost more than the rest of the call.

  override put(item: T, options?: WaitOptions): Promise<void> {
    try {
      this.check();
      const wait = readWait(options);
      if (this.putters.size === 0 && this.tryPut(item)) return isTurnOver(1) ? nextTurn() : ACCEPTED;
      return this.putLater(item, wait);
    } catch (error) {
      return Promise.reject(fromNative(error) as Error);
    }
  }

  /** False: there is no room. */
  private tryPut(item: T): boolean {
    if (this.isRaw(item) && this.handle.putRaw(item) === 0) return true;
    const { codecId, buffer, start, end } = encodeItemSpan(item, this.codec);
    const status = this.handle.put(buffer, start, end, codecId, 0);
    if (status === 0) return true;
    refusePut(status, end - start, this.capacityBytes);
    return false;
  }

  private putLater(item: T, wait: Wait): Promise<void> {
    if (wait.timeoutMs === 0) throw fullError();
    const { codecId, bytes } = encodeOwnItem(item, this.codec);
    if (bytes.length > this.capacityBytes) refusePut(TOO_LARGE, bytes.length, this.capacityBytes);
    return this.putters.add(wait, fullError, () => {
      const status = native(() => this.handle.put(bytes, 0, bytes.length, codecId, 0));
      if (status === 0) return { value: undefined };
      refusePut(status, bytes.length, this.capacityBytes);
      return undefined;
    });
  }

  override get(options?: WaitOptions): Promise<T> {
    let status: number;
    try {
      this.check();
      const wait = readWait(options);
      status = EMPTY;
      if (this.getters.size === 0) {
        this.pool.ready();
        status = this.handle.getNow(this.pool.offset);
      }
      if (status < 0) return this.getLater(status, wait);
      const codec = this.handle.registers[REGISTER_CODEC]!;
      if (codec !== CODEC_RAW) return answered(this.pool.take(status, codec), 1);
    } catch (error) {
      return Promise.reject(fromNative(error) as Error);
    }
    // Outside the try block, as in block().
    return answered(this.pool.take(status, CODEC_RAW), 1);
  }

  private getLater(status: number, wait: Wait): Promise<T> {
    const outcome = this.pool.received(status);
    if (outcome !== undefined) return answered(outcome.value, 1);
    if (wait.timeoutMs === 0) throw emptyError();
    return this.getters.add(wait, emptyError, () => this.pool.get(0));
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    if (!Array.isArray(items)) return super.putMany(items, options);
    this.check();
    const deadline = deadlineOf(wait);
    let accepted = 0;
    try {
      while (accepted < items.length) {
        if (this.putters.size === 0) {
          const batch = this.batches.next(items as T[], accepted);
          const outcome = batch.count === 0 ? 0 : this.batches.put(batch, 0, 0);
          if (outcome !== undefined) {
            accepted += outcome;
            if (outcome === batch.count && batch.failure !== undefined) throw batch.failure;
            if (isTurnOver(outcome)) {
              await nextTurn();
              if (accepted < items.length) wait.signal?.throwIfAborted();
            }
            continue;
          }
        }
        // Others wait, or there is no room: from here on the bytes have to be this call's own.
        const batch = this.batches.encode(items as T[], accepted, encodeOwnItem);
        for (let done = 0; done < batch.count;) {
          const outcome = await this.putBatchLater(batch, done, {
            timeoutMs: remainingMs(deadline),
            signal: wait.signal,
          });
          done += outcome;
          accepted += outcome;
        }
        if (batch.failure !== undefined) throw batch.failure;
      }
    } catch (error) {
      throw withAccepted(error, accepted);
    }
    return accepted;
  }

  override getMany(max: number, options?: WaitOptions): Promise<T[]> {
    try {
      this.check();
      const wait = readWait(options);
      if (readMax(max) === 0) return Promise.resolve([]);
      const items: T[] = [];
      const filled = (): T[] => {
        this.fillUp(items, max);
        return items;
      };
      if (this.getters.size === 0 && this.tryGetMany(items, max, 0)) {
        return isTurnOver(items.length) ? nextTurn().then(filled) : Promise.resolve(filled());
      }
      if (wait.timeoutMs === 0) throw emptyError();
      const attempt = (): { value: undefined } | undefined =>
        this.tryGetMany(items, max, 0) ? { value: undefined } : undefined;
      return this.getters.add(wait, emptyError, attempt).then(filled);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  override lease(options?: WaitOptions): Promise<NativeLease<T>> {
    try {
      this.check();
      const wait = readWait(options);
      const outcome = this.getters.size === 0 ? tryLease<T>(this.handle, this.isOpen, 0) : undefined;
      if (outcome !== undefined) return Promise.resolve(outcome.value);
      if (wait.timeoutMs === 0) throw emptyError();
      return this.getters.add(wait, emptyError, () => tryLease<T>(this.handle, this.isOpen, 0));
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    this.check();
    const wait = readWait(options);
    const items: T[] = [];
    const held = new LeasedItems(this.handle, this.isOpen);
    if (readMax(max) === 0) return new HeldBatch(items, held);
    const attempt = (): { value: boolean } | undefined => {
      const status = this.pool.leaseMany(items, held, max, 0);
      refuseGet(status);
      return status > 0 ? { value: true } : undefined;
    };
    if (this.getters.size > 0 || attempt() === undefined) {
      if (wait.timeoutMs === 0) throw emptyError();
      await this.getters.add(wait, emptyError, attempt);
    } else if (isTurnOver(items.length)) {
      await nextTurn();
    }
    while (items.length < max && !this.closed && this.pool.leaseMany(items, held, max, 0) > 0);
    return new HeldBatch(items, held);
  }

  override readable(): Readable {
    return new (streams().BatchReadable)(this);
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    this.check();
    const wait = readWait(options);
    const attempt = (): { value: undefined } | undefined =>
      native(() => this.handle.joined()) ? { value: undefined } : undefined;
    if (attempt() !== undefined) return;
    const late = (): QueueTimeoutError => new QueueTimeoutError('The queue was not finished in time.');
    if (wait.timeoutMs === 0) throw late();
    await this.joiners.add(wait, late, attempt);
  }

  override async empty(): Promise<boolean> {
    return this.emptySync();
  }

  override async full(): Promise<boolean> {
    this.check();
    return native(() => this.handle.full());
  }

  override async qsize(): Promise<number> {
    return this.qsizeSync();
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.check();
    native(() => this.handle.shutDown(readShutdown(options)));
    this.rung();
    this.tellEnd(takesNoMore());
  }

  override async close(): Promise<void> {
    this.closeSync();
  }

  [syncDispose](): void {
    this.closeSync();
  }

  override ref(): this {
    this.getters.setReferenced(true);
    this.putters.setReferenced(true);
    this.joiners.setReferenced(true);
    return this;
  }

  override unref(): this {
    this.getters.setReferenced(false);
    this.putters.setReferenced(false);
    this.joiners.setReferenced(false);
    return this;
  }

  override async stats(): Promise<QueueStats> {
    this.check();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
      ...native(() => this.handle.stats()),
    };
  }

  // ── batches ──────────────────────────────────────────────────────────────

  private async putBatchLater(batch: Batch, from: number, wait: Wait): Promise<number> {
    this.check();
    if (wait.timeoutMs === 0) throw fullError();
    return this.putters.add(wait, fullError, () => {
      const outcome = this.batches.put(batch, from, 0);
      return outcome === undefined ? undefined : { value: outcome };
    });
  }

  /** Adds what is there, up to `max` items in all. False: nothing was added. */
  private tryGetMany(items: T[], max: number, waitMs: number): boolean {
    const status = this.pool.addMany(items, max, waitMs);
    refuseGet(status);
    return status > 0;
  }

  /** Adds what is there without waiting, up to `max` items in all. That the queue is shut down is for the next call to say. */
  private fillUp(items: T[], max: number): void {
    while (items.length < max && !this.closed && this.pool.addMany(items, max, 0) > 0);
  }

  // ── leases ───────────────────────────────────────────────────────────────

  lendEncoded(max: number, maxBytes: number): EncodedLeases | undefined {
    this.check();
    if (this.getters.size > 0) return undefined;
    const leases = lendEncoded(this.handle, this.isOpen, Math.min(max, MOST_LENT), maxBytes);
    return leases?.run.count === MOST_LENT ? { ...leases, more: true } : leases;
  }

  /** A stream that is destroyed with items in hand; they were taken for good, so they go in again at the end. */
  protected override giveBack(item: T): Promise<void> {
    return this.put(item);
  }
}
