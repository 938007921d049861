/** A handle on a queue in memory: everything but which queue it is. */
import { BaseQueue, withAccepted } from './base-queue';
import { asyncDispose } from './dispose';
import type { QueueDescriptor } from './descriptor';
import { QueueClosedError } from './errors';
import type { Entry, MemoryStore, Waiter, WaiterGroup } from './memory-store';
import type { Lease, QueueStats, WaitOptions } from './queue';
import { deadlineOf, readMax, readWait, remainingMs } from './wait';

/** What must be undone when a handle goes, whether it was closed or merely forgotten. */
export class Attachment implements WaiterGroup {
  readonly waiters = new Set<Waiter>();
  readonly leases = new Set<Entry<unknown>>();
  referenced = true;
  private attached = true;

  /** @param onDetach called once, after everything the handle held has gone back. */
  constructor(
    readonly store: MemoryStore<unknown>,
    private readonly onDetach: () => void = () => {},
  ) {}

  detach(): void {
    if (!this.attached) return;
    this.attached = false;
    for (const waiter of [...this.waiters]) waiter.fail(new QueueClosedError());
    for (const entry of [...this.leases]) {
      this.leases.delete(entry);
      this.store.giveBack(entry);
    }
    this.onDetach();
  }
}

/** Items taken on loan together; each is ended by itself. */
export interface LeaseRun<T> {
  readonly entries: readonly { readonly item: T; readonly deliveries: number }[];
  ack(entry: LeaseRun<T>['entries'][number]): void;
  release(entry: LeaseRun<T>['entries'][number]): void;
}

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
    await this.store.put(item, wait, this.attachment);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    return (await this.store.take(wait, this.attachment, false)).item;
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
        const waiting = store.put(item, { timeoutMs: remainingMs(deadline), signal: wait.signal }, this.attachment);
        if (waiting !== undefined) await waiting;
        accepted++;
        if (waiting === undefined || accepted === items.length) continue;
        // Time has passed: the handle may have been closed, or the call aborted.
        wait.signal?.throwIfAborted();
        if (this.closed) throw new QueueClosedError();
      }
    } catch (error) {
      throw withAccepted(error, accepted);
    }
    return accepted;
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const { store } = this;
    if (readMax(max) === 0) return [];
    const items = [(await store.take(wait, this.attachment, false)).item];
    while (items.length < max && store.size > 0) {
      items.push((store.take({ timeoutMs: 0, signal: undefined }, this.attachment, false) as Entry<T>).item);
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
    leases.add(entry as Entry<unknown>);
    // The handle stays reachable through its leases: what is on loan does not go back behind the borrower's back.
    const end = (finish: () => void) => async (): Promise<void> => {
      if (this.attachment.leases.delete(entry as Entry<unknown>)) finish();
    };
    const release = end(() => store.giveBack(entry));
    return {
      item: entry.item,
      deliveries: entry.deliveries,
      ack: end(() => store.finish()),
      release,
      [asyncDispose]: release,
    };
  }

  /** Up to `max` items on loan, without an object for each; none when the queue is empty. */
  leaseRun(max: number): LeaseRun<T> {
    const { store } = this;
    const { leases } = this.attachment;
    const entries: Entry<T>[] = [];
    while (entries.length < max && store.size > 0) {
      const entry = store.take({ timeoutMs: 0, signal: undefined }, this.attachment, true) as Entry<T>;
      leases.add(entry as Entry<unknown>);
      entries.push(entry);
    }
    return {
      entries,
      ack: (entry) => {
        if (leases.delete(entry as Entry<unknown>)) store.finish();
      },
      release: (entry) => {
        if (leases.delete(entry as Entry<unknown>)) store.giveBack(entry as Entry<T>);
      },
    };
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
    };
  }
}
