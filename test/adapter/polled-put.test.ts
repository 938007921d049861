import { QueueDescriptor, resolveDescriptor, registerQueueImplementation } from '../../lib/index';
import { OneItem } from './queues';

class OneItemLater extends OneItem<number> {
  override async put(item: number): Promise<void> {
    await super.put(item);
  }
}

registerQueueImplementation('one_item', OneItem);
registerQueueImplementation('one_item_later', OneItemLater);

describe.each(['one_item', 'one_item_later'])('a put into a full %s, which never waits by itself', (queueType) => {
  const make = () => resolveDescriptor<number>(new QueueDescriptor({ queueId: 'fixwrap', queueType }));

  it('leaves the event loop to whoever makes room', async () => {
    const queue = make();
    await queue.put(1);
    let turns = 0;
    const loop = setInterval(() => {
      if (++turns === 3) void queue.get();
    }, 1);
    // Without a limit a starved loop could not even time the test out.
    await queue.put(2, { timeoutMs: 2000 }).finally(() => clearInterval(loop));
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(await queue.get()).toBe(2);
  });
});
