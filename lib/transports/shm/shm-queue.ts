/**
 * `shm`: a queue in POSIX shared memory, attached by name from any process of this host. The lock-free core, its recovery of dead
 * processes and its waking are native (docs/sage-queue.md); here items become bytes and back, and calls wait.
 */
import type { Readable } from 'node:stream';
import { BaseQueue, withAccepted } from '../../queue/base-queue';
import { CODEC_RAW, decodeItem, encodeItemSpan, isPlainBytes } from '../../codec/registry';
import type { ItemCodec, ItemSpan } from '../../codec/registry';
import { ItemSteps, putManyInLine } from '../../queue/put-many';
import type { EnterLine, PutStep } from '../../queue/put-many';
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
import { ArrayPut, Batches } from './put-batch';
import { owned } from './send-buffer';
import { BellPull } from './doorbell';
import { HeldBatch } from '../../queue/lease-batch';
import { expectedProducers } from '../../queue/producer-role';
import { LeasedItems, lendEncoded, tryLease } from './leases';
import type { EncodedLeases, EncodedSource } from '../../queue/encoded-source';
import { openQueue } from './open';
import { Pool } from './receive-buffer';
import { emptyError, fullError, refuseGet, refusePut, takesNoMore } from './status-errors';
import { isTurnOver, nextTurn } from '../../wait/fairness';
import { WaitList } from './wait-list';

/** Lent encoded at a time: each put and each lease looks at every lease that is open. */
const MOST_LENT = 128;

/** What every put that is accepted at once returns. */
const ACCEPTED = Promise.resolve();

/** An awaited call that moved items. */
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
  private readonly consumers: WaitList;
  private readonly producers: WaitList;
  private readonly joiners: WaitList;
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
    this.consumers = new WaitList(this.handle, GETTERS, this.bell);
    this.producers = new WaitList(this.handle, PUTTERS, this.bell);
    this.joiners = new WaitList(this.handle, JOINERS, this.bell);
  }

  protected override get maxsize(): number {
    return this.existingMaxsize;
  }

  private rung(): void {
    this.consumers.rung();
    this.producers.rung();
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
    const deadline = deadlineOf(readWait(options, SYNC_WAIT_OPTIONS));
    const span = native(() => this.tryPut(item));
    if (span === undefined) return;
    const attempt = (waitMs: number): true | undefined => native(() => this.tryPutBytes(span, waitMs)) || undefined;
    if (this.blockUntil(deadline, attempt) === undefined) throw fullError();
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
    const put = new ArrayPut(this.batches, items);
    const attempt = (waitMs: number): number | undefined => put.step(waitMs) || undefined;
    try {
      while (!put.isDone) if ((attempt(0) ?? this.blockUntil(deadline, attempt)) === undefined) throw fullError();
    } catch (error) {
      throw withAccepted(error, put.accepted);
    }
    return put.accepted;
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
    this.consumers.failAll(reason);
    this.producers.failAll(reason);
    this.joiners.failAll(reason);
    this.bell.detach();
    this.handle.close();
    this.tellEnd(reason());
  }

  // ── asynchronous ─────────────────────────────────────────────────────────

  // Not async functions where most answers are there at once: they would cost more than the rest of the call.

  /**
   * The one way in for an item: raw or encoded, blocking or awaited. Undefined: it went in. Otherwise the item as it was encoded, once, which is
   * good until anything else is encoded. Throws what the addon does: no closure stands in the way of most calls.
   */
  private tryPut(item: T): ItemSpan | undefined {
    // The way of most calls: bytes, and there is room.
    if (this.isRaw(item) && this.handle.putRaw(item) === 0) return undefined;
    const span = encodeItemSpan(item, this.codec);
    return this.tryPutBytes(span, 0) ? undefined : span;
  }

  private tryPutBytes({ buffer, start, end, codecId }: ItemSpan, waitMs: number): boolean {
    const status = this.handle.put(buffer, start, end, codecId, waitMs);
    if (status === 0) return true;
    refusePut(status, end - start, this.capacityBytes);
    return false;
  }

  override put(item: T, options?: WaitOptions): Promise<void> {
    try {
      this.check();
      const wait = readWait(options);
      const { producers } = this;
      if (producers.isTaken && (wait.timeoutMs !== 0 || producers.isWanted)) return this.putLater(item, wait);
      const span = this.tryPut(item);
      if (span !== undefined) return this.putLater(item, wait, span);
      return isTurnOver(1) ? nextTurn() : ACCEPTED;
    } catch (error) {
      return Promise.reject(fromNative(error) as Error);
    }
  }

  /** @param span the item, where it is encoded already */
  private putLater(item: T, wait: Wait, span?: ItemSpan): Promise<void> {
    if (wait.timeoutMs === 0) throw fullError();
    const waiting = this.ownSpan(span ?? encodeItemSpan(item, this.codec));
    const attempt = (): { value: number } | undefined =>
      native(() => this.tryPutBytes(waiting, 0)) ? { value: 1 } : undefined;
    return this.producers.add(wait, fullError, attempt).then((moved) => (isTurnOver(moved) ? nextTurn() : undefined));
  }

  /** For an item that has to wait: its owner, or the encoder, may use those bytes again. @throws ItemTooLargeError */
  private ownSpan(span: ItemSpan): ItemSpan {
    const { codecId, bytes } = owned(span);
    if (bytes.length > this.capacityBytes) refusePut(TOO_LARGE, bytes.length, this.capacityBytes);
    return { codecId, buffer: bytes, start: 0, end: bytes.length };
  }

  override get(options?: WaitOptions): Promise<T> {
    let status: number;
    try {
      this.check();
      const wait = readWait(options);
      status = EMPTY;
      if (!this.consumers.isTaken) {
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
    return this.consumers.add(wait, emptyError, () => this.pool.get(0)).then((item) => answered(item, 1));
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    this.check();
    const wait = readWait(options);
    const { producers } = this;
    const serve = (): void => producers.rung();
    const enter: EnterLine = (request) => {
      if (producers.isTaken && (wait.timeoutMs !== 0 || producers.isWanted)) {
        if (wait.timeoutMs === 0) throw fullError();
        return producers.enter(request);
      }
      const outcome = request.attempt();
      return typeof outcome === 'object' ? outcome.value : producers.enter(request, outcome);
    };
    const check = (): void => {
      wait.signal?.throwIfAborted();
      this.check();
    };
    if (Array.isArray(items)) {
      const put = new ArrayPut(this.batches, items);
      const step = (): PutStep => {
        check();
        return put.isDone ? 'done' : put.step(0);
      };
      return putManyInLine(wait, { step, full: fullError, serve, own: () => put.own() }, enter);
    }
    let span: ItemSpan | undefined;
    const steps = new ItemSteps(items, serve, check, (item) => {
      const waiting = span;
      if (waiting === undefined) span = native(() => this.tryPut(item));
      else if (native(() => this.tryPutBytes(waiting, 0))) span = undefined;
      return span === undefined;
    });
    const own = (): void => {
      if (span !== undefined) span = this.ownSpan(span);
    };
    try {
      return await putManyInLine(wait, { step: () => steps.step(), full: fullError, serve, own }, enter);
    } finally {
      await steps.feed.leave();
    }
  }

  /**
   * Takes what is there, or waits for it.
   * @param moved how many items that is
   */
  private consume<R>(wait: Wait, attempt: () => { value: R } | undefined, moved: (value: R) => number): Promise<R> {
    const outcome = this.consumers.isTaken ? undefined : attempt();
    if (outcome !== undefined) return answered(outcome.value, moved(outcome.value));
    if (wait.timeoutMs === 0) throw emptyError();
    return this.consumers.add(wait, emptyError, attempt).then((value) => answered(value, moved(value)));
  }

  override getMany(max: number, options?: WaitOptions): Promise<T[]> {
    try {
      this.check();
      const wait = readWait(options);
      if (readMax(max) === 0) return Promise.resolve([]);
      const items: T[] = [];
      const attempt = (): { value: T[] } | undefined => {
        if (!this.tryGetMany(items, max, 0)) return undefined;
        this.fillUp(items, max);
        return { value: items };
      };
      return this.consume(wait, attempt, () => items.length);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  override lease(options?: WaitOptions): Promise<NativeLease<T>> {
    try {
      this.check();
      const wait = readWait(options);
      const attempt = (): { value: NativeLease<T> } | undefined => tryLease<T>(this.handle, this.isOpen, 0);
      return this.consume(wait, attempt, () => 1);
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
    const attempt = (): { value: number } | undefined => {
      const status = this.pool.leaseMany(items, held, max, 0);
      refuseGet(status);
      if (status <= 0) return undefined;
      while (items.length < max && !this.closed && this.pool.leaseMany(items, held, max, 0) > 0);
      return { value: items.length };
    };
    await this.consume(wait, attempt, (moved) => moved);
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
    if (attempt() !== undefined) {
      if (isTurnOver(1)) await nextTurn();
      return;
    }
    const late = (): QueueTimeoutError => new QueueTimeoutError('The queue was not finished in time.');
    if (wait.timeoutMs === 0) throw late();
    await this.joiners.add(wait, late, attempt);
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async full(): Promise<boolean> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    this.check();
    return native(() => this.handle.full());
  }

  override async qsize(): Promise<number> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    return this.qsizeSync();
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.check();
    native(() => this.handle.shutDown(readShutdown(options)));
    // Those included whose source is silent.
    this.producers.failAll(takesNoMore);
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
    this.consumers.setReferenced(true);
    this.producers.setReferenced(true);
    this.joiners.setReferenced(true);
    return this;
  }

  override unref(): this {
    this.consumers.setReferenced(false);
    this.producers.setReferenced(false);
    this.joiners.setReferenced(false);
    return this;
  }

  override async stats(): Promise<QueueStats> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    this.check();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
      ...native(() => this.handle.stats()),
    };
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
    if (this.consumers.isTaken) return undefined;
    const leases = lendEncoded(this.handle, this.isOpen, Math.min(max, MOST_LENT), maxBytes);
    return leases?.run.count === MOST_LENT ? { ...leases, more: true } : leases;
  }

  /** A stream that is destroyed with items in hand; they were taken for good, so they go in again at the end. */
  protected override giveBack(item: T): Promise<void> {
    return this.put(item);
  }
}
