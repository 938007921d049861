/** The adapter over a queue of four methods, which knows nothing of waiting: one that answers at once, and one that answers a little later. */
import { QueueDescriptor, QueueEmptyError, QueueFullError, wrapQueue } from '../../lib';
import type { QueueLike } from '../../lib';
import { holdToReference } from './sequences';

class FourMethods implements QueueLike<number> {
  private readonly items: number[] = [];

  constructor(private readonly maxsize: number) {}

  put(item: number): void | Promise<void> {
    if (this.maxsize > 0 && this.items.length >= this.maxsize) throw new QueueFullError();
    this.items.push(item);
  }

  get(): number | Promise<number> {
    if (this.items.length === 0) throw new QueueEmptyError();
    return this.items.shift()!;
  }

  empty(): boolean | Promise<boolean> {
    return this.items.length === 0;
  }

  qsize(): number | Promise<number> {
    return this.items.length;
  }
}

class FourMethodsLater extends FourMethods {
  override async put(item: number): Promise<void> {
    await super.put(item);
  }

  override async get(): Promise<number> {
    return super.get();
  }

  override async empty(): Promise<boolean> {
    return super.empty();
  }

  override async qsize(): Promise<number> {
    return super.qsize();
  }
}

test.each([FourMethods, FourMethodsLater])(
  'over %p',
  async (Inner) => {
    const runs = await holdToReference({
      make: (maxsize) => {
        const descriptor = new QueueDescriptor({ queueId: 'model', queueType: 'four', metadata: { maxsize } });
        const queue = wrapQueue<number>(new Inner(maxsize), descriptor);
        return { open: () => queue, end: async () => {} };
      },
      shared: false,
    });
    expect(runs).toBeGreaterThan(20);
  },
  3_600_000,
);
