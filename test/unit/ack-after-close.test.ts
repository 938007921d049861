import {
  getLocalQueue,
  QueueClosedError,
  QueueDescriptor,
  QueueEmptyError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue, QueueLike } from '../../lib/index';

const items: unknown[] = [];

/** All handles are on one queue. */
class FourMethods implements QueueLike {
  put(item: unknown): void {
    items.push(item);
  }

  get(): unknown {
    if (items.length === 0) throw new QueueEmptyError();
    return items.shift();
  }

  empty(): boolean {
    return items.length === 0;
  }

  qsize(): number {
    return items.length;
  }
}

registerQueueImplementation('four_methods', FourMethods);

const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('fixwrap-ack'),
  custom: () => resolveDescriptor(new QueueDescriptor({ queueId: 'fixwrap', queueType: 'four_methods' })),
};

test.each(Object.entries(makers))(
  '%s: a lease that went back with its handle cannot be acknowledged, but let go of',
  async (_type, make) => {
    const [borrower, other] = [make(), make()];
    await other.putMany(['late', 'acknowledged', 'released']);
    const late = await borrower.lease();
    const acknowledged = await borrower.lease();
    const released = await borrower.lease();
    await acknowledged.ack();
    await released.release();
    await borrower.close();
    await expect(late.ack()).rejects.toThrow(QueueClosedError);
    await late.release();
    await late[Symbol.asyncDispose]();
    // Their borrower knows what became of these.
    await acknowledged.ack();
    await released.ack();
    expect((await other.getMany(10)).sort()).toEqual(['late', 'released']);
    await other.close();
  },
);
