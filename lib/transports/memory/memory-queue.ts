/** A handle on a queue in memory: everything but which queue it is. */
import { BaseQueue, wentBack, withAccepted } from '../../queue/base-queue';
import { asyncDispose } from '../../util/dispose';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, SerializationError } from '../../errors';
import type { Entry, MemoryStore, WaiterGroup } from './memory-store';
import { HeldBatch } from '../../queue/lease-batch';
import type { Lease, LeaseBatch, QueueStats, WaitOptions } from '../../queue/types';
import { SealedItem } from '../../codec/encoded-item';
import { deadlineOf, remainingMs } from '../../wait/deadline';
import { readMax, readWait } from '../../wait/options';
import type { Wait } from '../../wait/options';
import type { PendingCall } from '../../wait/pending-call';

/** What must be undone when a handle goes, whether it was closed or merely forgotten. */
export class Attachment implements WaiterGroup {
  readonly waiters = new Set<PendingCall>();
  readonly leases = new Set<Entry<unknown>>();
  readonly runs = new Set<LeaseRun<unknown>>();
  referenced = true;
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

  detach(): void {
    if (!this.attached) return;
    this.attached = false;
    for (const waiter of [...this.waiters]) waiter.fail(new QueueClosedError());
    for (const entry of [...this.leases]) {
      this.leases.delete(entry);
      this.store.giveBack(entry);
    }
    for (const run of [...this.runs]) run.release(0, run.entries.length);
    if (this.expected !== undefined) this.store.removeProducer();
    this.onDetach();
  }
}

/** Items taken on loan together, ended one by one or many at a time. Sealed ones are sealed still. */
export class LeaseRun<T> {
  private open: number;

  constructor(
    private readonly attachment: Attachment,
    readonly entries: (Entry<T> | undefined)[],
  ) {
    this.open = entries.length;
    if (this.open > 0) attachment.runs.add(this);
  }

  /** Ends the loans from … to - 1 that are still open: their items were handled. */
  ack(from: number, to: number): void {
    const ended = this.end(from, to);
    if (ended > 0) this.attachment.store.finish(ended);
  }

  /** … : their items come again, in the order they had. */
  release(from: number, to: number): void {
    const entries = this.entries.slice(from, to);
    this.end(from, to);
    for (const entry of entries.reverse()) if (entry !== undefined) this.attachment.store.giveBack(entry);
  }

  private end(from: number, to: number): number {
    const { entries } = this;
    let ended = 0;
    for (let index = from; index < to; index++) {
      if (entries[index] === undefined) continue;
      entries[index] = undefined;
      ended++;
    }
    this.open -= ended;
    if (this.open === 0) this.attachment.runs.delete(this as LeaseRun<unknown>);
    return ended;
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

const opened = <T>(item: T): T => (item instanceof SealedItem ? (item.open() as T) : item);

const AT_ONCE: Wait = { timeoutMs: 0, signal: undefined };

const forgotten = new FinalizationRegistry<Attachment>((attachment) => attachment.detach());

export class StoreQueue<T = unknown> extends BaseQueue<T> {
  private closed = false;

  constructor(
    descriptor: QueueDescriptor,
    private readonly attachment: Attachment,
  ) {
    super(descriptor);
    forgotten.register(this, attachment, this);
  }

  protected get store(): MemoryStore<T> {
    if (this.closed) throw new QueueClosedError();
    return this.attachment.store as MemoryStore<T>;
  }

  protected override get maxsize(): number {
    return this.attachment.store.maxsize;
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    refuseRevoked(item);
    await this.store.put(item, wait, this.attachment);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    return opened((await this.store.take(wait, this.attachment, false)).item);
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const { store } = this;
    // The base class awaits every item, which an array of them need not.
    if (!Array.isArray(items)) return super.putMany(items, options);
    const deadline = deadlineOf(wait);
    let accepted = 0;
    try {
      for (const item of items as T[]) {
        const left = deadline === Infinity ? wait : { timeoutMs: remainingMs(deadline), signal: wait.signal };
        refuseRevoked(item);
        const waiting = store.put(item, left, this.attachment);
        if (waiting !== undefined) await waiting;
        accepted++;
        if (waiting === undefined || accepted === items.length) continue;
        // Time has passed: the handle may have been closed, or the call aborted.
        wait.signal?.throwIfAborted();
        if (this.closed) throw new QueueClosedError();
      }
    } catch (error) {
      throw withAccepted(error, accepted, wait);
    }
    return accepted;
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const { store } = this;
    if (readMax(max) === 0) return [];
    const items = [opened((await store.take(wait, this.attachment, false)).item)];
    while (items.length < max && store.size > 0) {
      const entry = store.take(AT_ONCE, this.attachment, true) as Entry<T>;
      try {
        items.push(opened(entry.item));
      } catch {
        // Only the first of a call is removed and reported: what was taken before it must not be lost to its error.
        store.giveBack(entry);
        break;
      }
      store.finish();
    }
    return items;
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    const wait = readWait(options);
    const { store } = this;
    const { leases } = this.attachment;
    const entry = await store.take(wait, this.attachment, true);
    if (this.closed) {
      store.giveBack(entry);
      throw new QueueClosedError();
    }
    let item: T;
    try {
      item = opened(entry.item);
    } catch (error) {
      store.finish();
      throw error;
    }
    leases.add(entry as Entry<unknown>);
    // The handle stays reachable through its leases: what is on loan does not go back behind the borrower's back.
    let ended = false;
    const end = (finish: () => void): void => {
      ended = true;
      if (this.attachment.leases.delete(entry as Entry<unknown>)) finish();
    };
    const release = async (): Promise<void> => end(() => store.giveBack(entry));
    return {
      item,
      deliveries: entry.deliveries,
      crashes: entry.crashes,
      ack: async () => {
        if (this.closed && !ended) throw wentBack();
        end(() => store.finish());
      },
      release,
      [asyncDispose]: release,
    };
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const wait = readWait(options);
    const { store } = this;
    const items: T[] = [];
    const entries: Entry<T>[] = [];
    if (readMax(max) > 0) {
      const first = await store.take(wait, this.attachment, true);
      if (this.closed) {
        store.giveBack(first);
        throw new QueueClosedError();
      }
      for (let entry: Entry<T> | undefined = first; entry !== undefined;) {
        try {
          items.push(opened(entry.item));
        } catch (error) {
          // As in getMany.
          if (items.length > 0) {
            store.giveBack(entry);
            break;
          }
          store.finish();
          throw error;
        }
        entries.push(entry);
        const more: boolean = items.length < max && store.size > 0;
        entry = more ? (store.take(AT_ONCE, this.attachment, true) as Entry<T>) : undefined;
      }
    }
    const run = new LeaseRun(this.attachment, entries);
    const held = [...entries];
    return new HeldBatch(items, {
      end: (from, to, acknowledge) => {
        if (!acknowledge) run.release(from, to);
        else if (this.closed) throw wentBack();
        else run.ack(from, to);
      },
      deliveries: (index) => held[index]!.deliveries,
      crashes: (index) => held[index]!.crashes,
    });
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    const wait = readWait(options);
    await this.store.join(wait, this.attachment);
  }

  /** Up to `max` items on loan, the last one when `enough` says so; undefined when the queue is empty. @throws what `enough` throws of the first one, which stays. */
  leaseRun(max: number, enough: (item: T) => boolean): LeaseRun<T> | undefined {
    const { store } = this;
    if (store.size === 0) return undefined;
    const entries: Entry<T>[] = [];
    while (entries.length < max && store.size > 0) {
      const entry = store.take(AT_ONCE, this.attachment, true) as Entry<T>;
      try {
        const last = enough(entry.item);
        entries.push(entry);
        if (last) break;
      } catch (error) {
        store.giveBack(entry as Entry<T>);
        if (entries.length === 0) throw error;
        break;
      }
    }
    return new LeaseRun(this.attachment, entries);
  }

  override async empty(): Promise<boolean> {
    return this.store.size === 0;
  }

  override async qsize(): Promise<number> {
    return this.store.size;
  }

  /** Items on lease count: they may come back. */
  override async full(): Promise<boolean> {
    return this.store.isFull;
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.store.shutdown(options?.immediate === true);
  }

  override async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    forgotten.unregister(this);
    this.attachment.detach();
  }

  override ref(): this {
    return this.setReferenced(true);
  }

  override unref(): this {
    return this.setReferenced(false);
  }

  private setReferenced(referenced: boolean): this {
    this.attachment.referenced = referenced;
    for (const waiter of this.attachment.waiters) waiter.setReferenced(referenced);
    return this;
  }

  override async stats(): Promise<QueueStats> {
    const { store } = this;
    return {
      queueId: this.descriptor.queueId,
      queueType: this.descriptor.queueType,
      qsize: store.size,
      maxsize: store.maxsize,
      putTotal: store.putTotal,
      getTotal: store.getTotal,
      waitingGetters: store.waitingGetters,
      waitingPutters: store.waitingPutters,
      redelivered: store.redelivered,
      leased: store.onLoan,
    };
  }
}
