import {
  QueueDescriptor,
  QueueEmptyError,
  QueueFullError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Codec, QueueLike, WaitOptions } from '../../lib/index';
import { decodeItem, encodeItem } from '../../lib/codec/registry';
import type { EncodedItem } from '../../lib/codec/registry';
import { describeQueueContract, StubQueue } from '../../lib/testing';

/** Somebody's own queue: the four methods, no signal, no shutdown, no close. */
class FourMethods implements QueueLike {
  private readonly inner: StubQueue;

  constructor(descriptor: QueueDescriptor) {
    // Nobody can call off a wait of these, so it must not keep the process.
    this.inner = new StubQueue(descriptor).unref();
  }

  put(item: unknown, { block, timeoutMs }: WaitOptions = {}): Promise<void> {
    return this.inner.put(item, { block, timeoutMs });
  }

  get({ block, timeoutMs }: WaitOptions = {}): Promise<unknown> {
    return this.inner.get({ block, timeoutMs });
  }

  empty(): Promise<boolean> {
    return this.inner.empty();
  }

  qsize(): Promise<number> {
    return this.inner.qsize();
  }
}

/** As above, with items as bytes in between, as every type has it whose items leave the thread. */
class Serializing implements QueueLike {
  private readonly inner: StubQueue<EncodedItem>;
  private readonly codec: Codec['name'];

  constructor(descriptor: QueueDescriptor) {
    this.inner = new StubQueue<EncodedItem>(descriptor).unref();
    this.codec = (descriptor.metadata.codec as string | undefined) ?? 'auto';
  }

  async put(item: unknown, options?: WaitOptions): Promise<void> {
    const { codecId, bytes } = encodeItem(item, this.codec);
    await this.inner.put({ codecId, bytes: Buffer.from(bytes) }, options);
  }

  async get(options?: WaitOptions): Promise<unknown> {
    const { codecId, bytes } = await this.inner.get(options);
    return decodeItem(codecId, bytes);
  }

  empty(): Promise<boolean> {
    return this.inner.empty();
  }

  qsize(): Promise<number> {
    return this.inner.qsize();
  }
}

/** Nothing but arrays and exceptions, all of it synchronous where it can be. */
class Polling implements QueueLike {
  private readonly items: unknown[] = [];
  private readonly waiting: { resolve(item: unknown): void }[] = [];

  constructor(private readonly descriptor: QueueDescriptor) {}

  put(item: unknown, { timeoutMs }: WaitOptions = {}): void {
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw new RangeError('timeoutMs');
    if (this.items.length >= Number(this.descriptor.metadata.maxsize)) throw new QueueFullError();
    const getter = this.waiting.shift();
    if (getter === undefined) this.items.push(item);
    else getter.resolve(item);
  }

  get({ block, timeoutMs }: WaitOptions = {}): unknown {
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) throw new RangeError('timeoutMs');
    if (this.items.length > 0) return this.items.shift();
    if (block === false || timeoutMs === 0) throw new QueueEmptyError();
    // No timeout of its own, so the wrapper's has to do.
    return new Promise((resolve) => this.waiting.push({ resolve }));
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

const descriptor = (queueType: string, metadata = {}): QueueDescriptor =>
  new QueueDescriptor({ queueId: 'custom', queueType, metadata });

registerQueueImplementation('four_methods', FourMethods);
registerQueueImplementation('serializing', Serializing);
registerQueueImplementation('polling', Polling);

describeQueueContract('four methods by themselves', () => new FourMethods(descriptor('four_methods', { maxsize: 3 })), {
  bounded: true,
});
describeQueueContract('four methods, resolved', () => resolveDescriptor(descriptor('four_methods', { maxsize: 3 })), {
  bounded: true,
});
describeQueueContract('serialized items', () => resolveDescriptor(descriptor('serializing')), { shared: true });
describeQueueContract('synchronous, without timeouts or signals', () =>
  resolveDescriptor(descriptor('polling', { maxsize: 1000 })),
);
