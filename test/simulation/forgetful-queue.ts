/** A queue of somebody's own: a lease is a get, what goes back is put again, and a put may fail. */
import { BaseQueue } from '../../lib';
import type { QueueDescriptor, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import type { MemoryStore } from '../../lib/transports/memory/memory-store';

export class ForgetfulQueue extends BaseQueue {
  private readonly inner: StubQueue;
  private refusal: Error | undefined;

  /** @param refused told of what it did not take */
  constructor(
    descriptor: QueueDescriptor,
    store: MemoryStore<unknown>,
    private readonly refused: (item: unknown) => void,
  ) {
    super(descriptor);
    this.inner = new StubQueue(descriptor, undefined, store);
  }

  /** The next put does. */
  failNext(refusal: Error): void {
    this.refusal = refusal;
  }

  override async put(item: unknown, options?: WaitOptions): Promise<void> {
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal !== undefined) {
      this.refused(item);
      throw refusal;
    }
    return this.inner.put(item, options);
  }

  override get(options?: WaitOptions): Promise<unknown> {
    return this.inner.get(options);
  }

  override empty(): Promise<boolean> {
    return this.inner.empty();
  }

  override qsize(): Promise<number> {
    return this.inner.qsize();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.inner.close();
  }
}
