/**
 * `local`: a queue in the memory of one thread. Items go through by reference, as in Python's `queue.Queue`: nothing is copied or
 * serialized, so functions and class instances are fine, and whoever changes an item after putting it changes what the getter sees.
 */
import { BaseQueue } from '../base-queue';
import { asyncDispose } from '../dispose';
import type { QueueDescriptor } from '../descriptor';
import { ConfigMismatchError, QueueClosedError, QueueExistsError, QueueNotFoundError } from '../errors';
import { MemoryStore } from '../memory-store';
import type { Entry, WaiterGroup } from '../memory-store';
import type { Lease, QueueStats, ResolveOptions, WaitOptions } from '../queue';
import { readMax, readWait } from '../wait';

/** A queue and the number of handles on it. It is kept while it has handles or items. */
interface Shared {
  readonly store: MemoryStore<unknown>;
  handles: number;
}

const queues = new Map<string, Shared>();

/** What must be undone when a handle goes, whether it was closed or merely forgotten. */
class Attachment implements WaiterGroup {
  readonly waiters = new Set<{ fail(reason: unknown): void; setReferenced(referenced: boolean): void }>();
  readonly leases = new Set<Entry<unknown>>();
  referenced = true;
  private attached = true;

  constructor(
    private readonly queueId: string,
    readonly shared: Shared,
  ) {
    shared.handles++;
  }

  detach(): void {
    if (!this.attached) return;
    this.attached = false;
    for (const waiter of [...this.waiters]) waiter.fail(new QueueClosedError());
    const { store } = this.shared;
    for (const entry of [...this.leases]) {
      this.leases.delete(entry);
      store.giveBack(entry);
    }
    this.shared.handles--;
    this.forgetIfUnused();
  }

  forgetIfUnused(): void {
    const { handles, store } = this.shared;
    if (handles === 0 && store.size === 0 && queues.get(this.queueId) === this.shared) queues.delete(this.queueId);
  }
}

const forgotten = new FinalizationRegistry<Attachment>((attachment) => attachment.detach());

function attach(descriptor: QueueDescriptor, create: ResolveOptions['create']): Attachment {
  const { queueId } = descriptor;
  const asked = typeof descriptor.metadata.maxsize === 'number' ? descriptor.metadata.maxsize : 0;
  let shared = queues.get(queueId);
  if (shared === undefined) {
    if (create === 'never')
      throw new QueueNotFoundError(`There is no local queue '${queueId}' in this thread, and create is 'never'.`);
    shared = { store: new MemoryStore(asked), handles: 0 };
    queues.set(queueId, shared);
  } else if (create === 'exclusive') {
    throw new QueueExistsError(
      `The local queue '${queueId}' exists already in this thread, and create is 'exclusive'.`,
    );
  } else if (asked !== 0 && asked !== shared.store.maxsize) {
    throw new ConfigMismatchError(
      `The local queue '${queueId}' exists with maxsize ${shared.store.maxsize}; the descriptor asks for ${asked}. ` +
        'Ask for the same, or leave maxsize out to take it as it is.',
    );
  }
  return new Attachment(queueId, shared);
}

export class LocalQueue<T = unknown> extends BaseQueue<T> {
  private readonly attachment: Attachment;
  private closed = false;

  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    this.attachment = attach(descriptor, options.create);
    forgotten.register(this, this.attachment, this);
  }

  private get store(): MemoryStore<T> {
    if (this.closed) throw new QueueClosedError();
    return this.attachment.shared.store as MemoryStore<T>;
  }

  protected override get maxsize(): number {
    return this.attachment.shared.store.maxsize;
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    await this.store.put(item, wait, this.attachment);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    return (await this.store.take(wait, this.attachment, false)).item;
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
