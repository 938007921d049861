/** A queue of somebody's own: a lease is a get, what goes back is put again, and a put may fail. */
import type { QueueDescriptor, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import type { MemoryStore } from '../../lib/transports/memory/memory-store';
import { FourOverridden } from '../adapter/queues';

export class ForgetfulQueue extends FourOverridden {
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
    return super.put(item, options);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.inner.close();
  }
}
