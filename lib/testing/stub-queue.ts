import type { QueueDescriptor } from '../descriptor/descriptor';
import { withAccepted } from '../queue/base-queue';
import { MemoryStore } from '../transports/memory/memory-store';
import { describeValue } from '../util/describe-value';
import { expectedProducers } from '../queue/producer-role';
import type { Lease, LeaseBatch, QueueStats, ResolveOptions, WaitOptions } from '../queue/types';
import { Attachment, StoreQueue } from '../transports/memory/memory-queue';

function newStore(descriptor: QueueDescriptor): MemoryStore<unknown> {
  if (typeof (descriptor as Partial<QueueDescriptor> | undefined)?.metadata !== 'object')
    throw new TypeError(
      `new StubQueue(descriptor) stands in for the queue of a QueueDescriptor, as QueueDescriptor.createLocalQueue('jobs'); found ${describeValue(descriptor)}.`,
    );
  const { maxsize } = descriptor.metadata;
  return new MemoryStore(typeof maxsize === 'number' ? maxsize : 0);
}

/**
 * In-memory stand-in for any queue type, with scripted faults, for unit tests of code that uses queues. Each one is a queue of its
 * own; `StubQueue.sharing()` gives an implementation whose queues meet by id.
 *
 * @example
 * registerQueueImplementation('rpc', StubQueue);
 * const queue = resolveDescriptor(QueueDescriptor.createRpcQueue('localhost', 8080)) as StubQueue;
 * queue.failNext(new QueueConnectionError('the cable was cut'));
 */
export class StubQueue<T = unknown> extends StoreQueue<T> {
  private readonly faults: Error[] = [];

  constructor(
    descriptor: QueueDescriptor,
    options?: ResolveOptions,
    store: MemoryStore<unknown> = newStore(descriptor),
  ) {
    super(descriptor, new Attachment(store, undefined, expectedProducers(options?.producer)));
  }

  /** An implementation to register: descriptors of one type and id resolve to handles on one queue, for as long as the result is kept. */
  static sharing(): (descriptor: QueueDescriptor, options?: ResolveOptions) => StubQueue {
    const stores = new Map<string, MemoryStore<unknown>>();
    return (descriptor, options) => {
      const key = JSON.stringify([descriptor.queueType, descriptor.queueId]);
      const store = stores.get(key) ?? newStore(descriptor);
      stores.set(key, store);
      return new StubQueue(descriptor, options, store);
    };
  }

  /** The next call, of any but close(), rejects with this error and changes nothing; several are used up in order. @throws TypeError on what is no error */
  failNext(error: Error): void {
    // Not by `instanceof`: a runner may give each test file its own globals.
    if (typeof error !== 'object' || error === null)
      throw new TypeError(`failNext takes the error to reject with, found ${describeValue(error)}.`);
    this.faults.push(error);
  }

  private useFault(): void {
    const fault = this.faults.shift();
    if (fault !== undefined) throw fault;
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    this.useFault();
    return super.put(item, options);
  }

  override async get(options?: WaitOptions): Promise<T> {
    this.useFault();
    return super.get(options);
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    try {
      this.useFault();
    } catch (error) {
      throw withAccepted(error, 0);
    }
    return super.putMany(items, options);
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    this.useFault();
    return super.getMany(max, options);
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    this.useFault();
    return super.lease(options);
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    this.useFault();
    return super.leaseMany(max, options);
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    this.useFault();
    return super.join(options);
  }

  /** Whether there is no item now. */
  override async empty(): Promise<boolean> {
    this.useFault();
    return super.empty();
  }

  override async full(): Promise<boolean> {
    this.useFault();
    return super.full();
  }

  /** How many items there are now. */
  override async qsize(): Promise<number> {
    this.useFault();
    return super.qsize();
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.useFault();
    return super.shutdown(options);
  }

  /** Counters of the queue. */
  override async stats(): Promise<QueueStats> {
    this.useFault();
    return super.stats();
  }
}
