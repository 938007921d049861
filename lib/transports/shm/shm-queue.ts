/**
 * `shm`: a queue in POSIX shared memory, attached by name from any process of this host. The lock-free core, its recovery of dead
 * processes and its waking are native (docs/sage-queue.md); here items become bytes and back (put-calls.ts, get-calls.ts), and calls wait
 * (entry.ts, which the handles of a thread share).
 */
import { BaseQueue } from '../../queue/base-queue';
import { takeAtHand } from '../../queue/item-iterator';
import { syncDispose } from '../../util/dispose';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueShutDownError, QueueTimeoutError } from '../../errors';
import { native } from './addon';
import type { NativeEntry } from './native-entry';
import type {
  LeaseBatch,
  NativeLease,
  NativeQueue,
  QueueStats,
  ResolveOptions,
  SyncWaitOptions,
  WaitOptions,
} from '../../queue/types';
import { JOIN_OPTIONS, readShutdown } from '../../wait/options';
import { closeNow, closeWhenForgotten, waitOf } from './attachment';
import type { AttachedQueue, Attachment } from './attachment';
import { GetCalls } from './get-calls';
import { PutCalls } from './put-calls';
import { expectedProducers } from '../../queue/producer-role';
import type { EncodedLeases, EncodedSource } from '../../queue/encoded-source';
import { openQueue } from './open';
import { areRecoveriesWatched } from './recovery-channel';
import { takesNoMore } from './status-errors';
import { isTurnOver, nextTurn } from '../../wait/fairness';

export class ShmQueue<T = unknown> extends BaseQueue<T> implements NativeQueue<T>, EncodedSource, AttachedQueue {
  readonly attachment!: Attachment;
  protected readonly native!: NativeEntry;
  private readonly puts!: PutCalls<T>;
  private readonly gets!: GetCalls<T>;

  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    const expected = expectedProducers(options.producer);
    const { attachment, codec } = openQueue(descriptor, options.create ?? 'if-missing');
    if (expected !== undefined && !attachment.produce(expected)) {
      attachment.close();
      throw new QueueShutDownError('The last producer of the queue has gone: it has ended, and takes no more.');
    }
    this.attachment = attachment;
    attachment.calls.queue = descriptor;
    if (areRecoveriesWatched()) attachment.entry.watchRecoveries(descriptor);
    this.native = attachment.entry.native;
    this.puts = new PutCalls<T>(this, codec);
    this.gets = new GetCalls<T>(this);
    closeWhenForgotten(this);
  }

  protected override get maxsize(): number {
    return this.attachment.entry.configuration.maxsize;
  }

  get closed(): boolean {
    return !this.attachment.isOpen;
  }

  check(): void {
    if (!this.attachment.isOpen) throw new QueueClosedError();
  }

  // ── synchronous ──────────────────────────────────────────────────────────

  putSync(item: T, options?: SyncWaitOptions): void {
    this.puts.putSync(item, options);
  }

  getSync(options?: SyncWaitOptions): T {
    return this.gets.getSync(options);
  }

  putManySync(items: readonly T[], options?: SyncWaitOptions): number {
    return this.puts.putManySync(items, options);
  }

  getManySync(max: number, options?: SyncWaitOptions): T[] {
    return this.gets.getManySync(max, options);
  }

  emptySync(): boolean {
    return this.qsizeSync() === 0;
  }

  qsizeSync(): number {
    this.check();
    return native(() => this.native.qsize());
  }

  peekSync(): { item: T } | undefined {
    return this.gets.peekSync();
  }

  leaseSync(options?: SyncWaitOptions): NativeLease<T> {
    return this.gets.leaseSync(options);
  }

  unlinkSync(): void {
    this.check();
    native(() => this.native.unlink());
  }

  closeSync(): void {
    if (this.closed) return;
    closeNow(this);
    this.tellEnd(new QueueClosedError());
  }

  // ── asynchronous ─────────────────────────────────────────────────────────

  override put(item: T, options?: WaitOptions): Promise<void> {
    return this.puts.put(item, options);
  }

  override get(options?: WaitOptions): Promise<T> {
    return this.gets.get(options);
  }

  override [takeAtHand](): IteratorYieldResult<T> | undefined {
    return this.get === ownGet ? this.gets.takeAtHand() : undefined;
  }

  override putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    return this.puts.putMany(items, options);
  }

  override getMany(max: number, options?: WaitOptions): Promise<T[]> {
    return this.gets.getMany(max, options);
  }

  override lease(options?: WaitOptions): Promise<NativeLease<T>> {
    return this.gets.lease(options);
  }

  override leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    return this.gets.leaseMany(max, options);
  }

  lendEncoded(max: number, maxBytes: number): EncodedLeases | undefined {
    return this.gets.lendEncoded(max, maxBytes);
  }

  schemas(): readonly Uint8Array[] {
    this.check();
    return native(() => this.native.schemas()).filter(({ length }) => length > 0);
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    const wait = waitOf(this, options, JOIN_OPTIONS);
    const attempt = (): { value: undefined } | undefined =>
      native(() => this.native.joined()) ? { value: undefined } : undefined;
    if (attempt() !== undefined) {
      if (isTurnOver(1)) await nextTurn();
      return;
    }
    const late = (): QueueTimeoutError => new QueueTimeoutError('The queue was not finished in time.');
    if (wait.timeoutMs === 0) throw late();
    // The call waits for as long as this handle is open, and keeps it from being collected.
    await this.attachment.entry.joiners.add(this.attachment.calls, wait, late, attempt);
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async full(): Promise<boolean> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    this.check();
    return native(() => this.native.full());
  }

  override async qsize(): Promise<number> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    return this.qsizeSync();
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.check();
    const immediate = readShutdown(options);
    this.check();
    native(() => this.native.shutDown(immediate));
    const { entry } = this.attachment;
    // Those of other handles, and those whose source is silent, included.
    entry.producers.failAll(takesNoMore);
    entry.rung();
    this.tellEnd(takesNoMore());
  }

  override async close(): Promise<void> {
    this.closeSync();
  }

  [syncDispose](): void {
    this.closeSync();
  }

  protected override setReferenced(referenced: boolean): void {
    this.attachment.calls.setReferenced(referenced);
  }

  override async stats(): Promise<QueueStats> {
    this.check();
    if (isTurnOver(1)) await nextTurn();
    this.check();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
      ...native(() => this.native.stats()),
    };
  }

  /** A stream that is destroyed with items in hand; they were taken for good, so they go in again at the end. */
  protected override requeue(item: T): Promise<void> {
    return this.put(item);
  }
}

/** As it is before anybody puts another one in its place, also for all queues. */
const ownGet: unknown = ShmQueue.prototype.get;
