/** A handle on a queue in memory: everything but which queue it is. */
import { BaseQueue } from '../../queue/base-queue';
import { takeAtHand } from '../../queue/item-iterator';
import { putItemsInLine } from '../../queue/put-many';
import type { ProducerEnd } from '../../queue/producer-role';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueEmptyError, QueueTimeoutError, SerializationError } from '../../errors';
import { encodeItem } from '../../codec/registry';
import type { EncodedItem } from '../../codec/registry';
import type { StructCodec } from '../../codec/struct/codec';
import { isSealed, SealedItem } from '../../codec/encoded-item';
import type { Entry, MemoryStore } from './memory-store';
import type { EncodedLeases, EncodedSource } from '../../queue/encoded-source';
import { HeldBatch } from '../../queue/lease-batch';
import { LeaseTable } from '../../queue/lease-table';
import type { LeaseRun } from '../../queue/lease-table';
import { tellRedelivered } from '../../queue/redelivered-channel';
import type { Lease, LeaseBatch, QueueStats, WaitOptions } from '../../queue/types';
import { CallGroup } from '../../wait/call-line';
import type { Attempt, CallLine, LineRequest, LineState } from '../../wait/call-line';
import { isTurnOver, nextTurn, refused } from '../../wait/fairness';
import { JOIN_OPTIONS, readMax, readShutdown, readWait } from '../../wait/options';
import type { Wait } from '../../wait/options';

/** What must be undone when a handle goes, whether it was closed or merely forgotten. */
export class Attachment {
  readonly calls = new CallGroup();
  readonly leases = new LeaseTable();
  private attached = true;

  /** @param onDetach called once, after everything the handle held has gone back. */
  constructor(
    readonly store: MemoryStore<unknown>,
    private readonly onDetach: () => void = () => {},
    /** A producer's handle: how many of them the queue has to see. */
    private readonly expected?: number,
  ) {
    if (expected !== undefined) store.addProducer(expected);
  }

  /** @param end of its handle, for what it was as a producer */
  detach(end: ProducerEnd): void {
    if (!this.attached) return;
    this.attached = false;
    const { store } = this;
    store.change(() => {
      this.calls.giveUp(() => new QueueClosedError());
      this.leases.loseNow();
      if (this.expected !== undefined) store.removeProducer(end);
    });
    this.onDetach();
  }
}

/** A promise cannot bring it to whoever gets it. @throws SerializationError */
function refuseRevoked(item: unknown): void {
  if (typeof item !== 'object' || item === null) return;
  try {
    Array.isArray(item);
  } catch (error) {
    throw new SerializationError('The item is a revoked proxy, which cannot be sent. The queue is unchanged.', {
      cause: error,
    });
  }
}

const opened = <T>(item: T): T => (isSealed(item) ? (item.open() as T) : item);

const forgotten = new FinalizationRegistry<Attachment>((attachment) => attachment.detach('lost'));

export class StoreQueue<T = unknown> extends BaseQueue<T> implements EncodedSource {
  private closed = false;

  constructor(
    descriptor: QueueDescriptor,
    private readonly attachment: Attachment,
    /** Of the queue's schema: items are checked when they are put. */
    private readonly struct?: StructCodec,
  ) {
    super(descriptor);
    attachment.calls.queue = descriptor;
    forgotten.register(this, attachment, this);
  }

  /** @throws SerializationError for an item that cannot be sent, or does not fit the schema */
  private refuse(item: unknown): void {
    refuseRevoked(item);
    if (this.struct === undefined) return;
    if (isSealed(item)) this.struct.checkEncoded(item.codec, item.bytes);
    else this.struct.check(item);
  }

  protected get store(): MemoryStore<T> {
    if (this.closed) throw new QueueClosedError();
    return this.attachment.store as MemoryStore<T>;
  }

  protected override get maxsize(): number {
    return this.attachment.store.maxsize;
  }

  private call<R>(line: CallLine, wait: Wait, late: () => Error, attempt: Attempt<R>): R | Promise<R> {
    return this.enter(line, { wait, late, attempt });
  }

  /** Tries, and then waits in the line. A call that does not wait stands behind nobody. */
  private enter<R>(line: CallLine, request: Omit<LineRequest<R>, 'group'>): R | Promise<R> {
    const { store, attachment } = this;
    const { wait, attempt, late, mayPass } = request;
    let state: LineState;
    if (wait.timeoutMs === 0 || !line.isTaken || mayPass?.() === true) {
      const outcome = store.change(attempt);
      if (typeof outcome === 'object') return outcome.value;
      if (wait.timeoutMs === 0) return refused(late());
      state = outcome;
    }
    // Named one by one: the copy of an object that gets one property more has a map of its own, and each look at it is V8's first (2 µs a call).
    const waiting = line.add({ wait, attempt, late, mayPass, group: attachment.calls }, state);
    // Its own try may have served others, and their answers it.
    store.serve();
    return waiting;
  }

  // ── puts ─────────────────────────────────────────────────────────────────

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    this.refuse(item);
    const { store } = this;
    const attempt = (): { value: void } | undefined => (store.tryPut(item) ? { value: undefined } : undefined);
    await this.call(store.producers, wait, () => store.full(), attempt);
    if (isTurnOver(1)) await nextTurn();
  }

  /** One call in the line, whatever it reads from: those made later wait until its items are in, or its source is silent. */
  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const { store } = this;
    const serve = (): void => store.serve();
    const full = (): Error => store.full();
    const check = (): void => {
      wait.signal?.throwIfAborted();
      if (this.closed) throw new QueueClosedError();
    };
    const tryPut = (item: T): boolean => {
      this.refuse(item);
      if (store.tryPut(item)) return true;
      // Those who wait for items make room.
      store.consumers.serve();
      return store.tryPut(item);
    };
    return putItemsInLine(wait, items, { check, tryPut, full, serve }, (request) =>
      this.enter(store.producers, request),
    );
  }

  // ── gets ─────────────────────────────────────────────────────────────────

  private consume<R>(wait: Wait, attempt: Attempt<R>): R | Promise<R> {
    return this.call(this.store.consumers, wait, () => new QueueEmptyError(), attempt);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    const { store } = this;
    const item = await this.consume(wait, () => store.tryTake());
    if (isTurnOver(1)) await nextTurn();
    return opened(item);
  }

  override [takeAtHand](): IteratorYieldResult<T> | undefined {
    if (this.get !== ownGet) return undefined;
    const { store } = this;
    const taken = store.consumers.isTaken ? undefined : store.change(() => store.tryTake());
    return taken && { done: false, value: opened(taken.value) };
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const { store } = this;
    if (readMax(max) === 0) return [];
    const items = await this.consume(wait, () => {
      const taken = this.takeOpened(store, max);
      if (taken === undefined) return undefined;
      store.ack(taken.entries.length);
      return { value: taken.items };
    });
    if (isTurnOver(items.length)) await nextTurn();
    return items;
  }

  /**
   * What is there, up to `max`, as values. Only a first one that cannot be read is removed and reported: what was taken before it must not be
   * lost to its error.
   */
  private takeOpened(store: MemoryStore<T>, max: number): { items: T[]; entries: Entry<T>[] } | undefined {
    const items: T[] = [];
    const entries: Entry<T>[] = [];
    while (items.length < max && (items.length === 0 || store.size > 0)) {
      const entry = store.tryLease();
      if (entry === undefined) break;
      try {
        items.push(opened(entry.item));
        entries.push(entry);
      } catch (error) {
        if (items.length === 0) {
          store.ack(1);
          throw error;
        }
        store.requeue([entry]);
        break;
      }
    }
    return items.length === 0 ? undefined : { items, entries };
  }

  // ── leases ───────────────────────────────────────────────────────────────

  private lendEntries(entries: readonly Entry<T>[]): LeaseRun {
    const store = this.attachment.store as MemoryStore<T>;
    return this.attachment.leases.lend(entries.length, {
      end: (from, to, acknowledge) =>
        store.change(() => (acknowledge ? store.ack(to - from) : store.requeue(entries.slice(from, to)))),
      undo: (from, to) => store.change(() => store.undo(entries.slice(from, to))),
      setAside: (from, to, aside) => {
        for (const entry of entries.slice(from, to)) entry.aside = aside;
      },
      deliveries: (index) => entries[index]!.deliveries,
      crashes: (index) => entries[index]!.crashes,
    });
  }

  /** The handle stays reachable through its leases: what is on lease does not go back behind the holder's back. */
  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    const batch = await this.leaseMany(1, options);
    return batch.leases[0]!;
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const wait = readWait(options);
    const none = readMax(max, 'leaseMany') === 0;
    const { store } = this;
    if (none) return new HeldBatch<T>([], this.lendEntries([]));
    const { items, run } = await this.consume(wait, () => {
      const taken = this.takeOpened(store, max);
      return taken === undefined ? undefined : { value: { items: taken.items, run: this.lendEntries(taken.entries) } };
    });
    if (isTurnOver(items.length)) await nextTurn();
    // Closed before anybody saw the items: they have gone back.
    if (this.closed) throw new QueueClosedError();
    const batch = new HeldBatch(items, run);
    tellRedelivered(this.descriptor, batch);
    return batch;
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    const wait = readWait(options, JOIN_OPTIONS);
    const { store } = this;
    const late = (): Error => new QueueTimeoutError('The time was over before every item was taken and acknowledged.');
    await this.call(store.joiners, wait, late, () => (store.isIdle ? { value: undefined } : undefined));
    if (isTurnOver(1)) await nextTurn();
  }

  schemas(): readonly Uint8Array[] {
    return this.struct === undefined ? [] : [Buffer.from(this.struct.text)];
  }

  lendEncoded(max: number, maxBytes: number): EncodedLeases | undefined {
    const { store } = this;
    if (store.size === 0) return undefined;
    const entries: Entry<T>[] = [];
    const items: (SealedItem | EncodedItem)[] = [];
    let byteLength = 0;
    return store.change(() => {
      while (entries.length < max && byteLength < maxBytes && store.size > 0) {
        const entry = store.tryLease()!;
        try {
          const { item } = entry;
          const encoded = item instanceof SealedItem ? item : encodeItem(item);
          byteLength += encoded instanceof SealedItem ? encoded.byteLength : encoded.bytes.byteLength;
          items.push(encoded);
          entries.push(entry);
        } catch (error) {
          store.requeue([entry]);
          if (entries.length === 0) throw error;
          break;
        }
      }
      return { run: this.lendEntries(entries), items, more: byteLength >= maxBytes };
    });
  }

  // ── the handle ───────────────────────────────────────────────────────────

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async qsize(): Promise<number> {
    const { size } = this.store;
    if (isTurnOver(1)) await nextTurn();
    return size;
  }

  /** Items on lease count: they may come back. */
  override async full(): Promise<boolean> {
    const { isFull } = this.store;
    if (isTurnOver(1)) await nextTurn();
    return isFull;
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    const immediate = readShutdown(options); // which may close the handle
    this.store.shutdown(immediate);
  }

  override async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    forgotten.unregister(this);
    this.attachment.detach('closed');
    this.tellEnd(new QueueClosedError());
  }

  protected override setReferenced(referenced: boolean): void {
    this.attachment.calls.setReferenced(referenced);
  }

  override async stats(): Promise<QueueStats> {
    const { store } = this;
    if (isTurnOver(1)) await nextTurn();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
      qsize: store.size,
      maxsize: store.maxsize,
      putTotal: store.putTotal,
      getTotal: store.getTotal,
      waitingGetters: store.consumers.waiting,
      waitingPutters: store.producers.waiting,
      redelivered: store.redelivered,
      leased: store.onLease,
    };
  }
}

/** As it is before anybody puts another one in its place, also for all queues. */
const ownGet: unknown = StoreQueue.prototype.get;
