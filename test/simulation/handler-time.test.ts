/** The time of a handler, on a virtual loop: from its call on, what it blocks the loop for included. */
import { QueueDescriptor } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import { runSchedules } from './run-schedules';

test.each([30, 70, 130])('a handler that blocks for %d ms and then hangs has 100 ms in all', (blocksMs) =>
  runSchedules('handlers that block', 1, async (loop) => {
    const queue = new StubQueue<number>(QueueDescriptor.createLocalQueue(`blocks-${blocksMs}`));
    await loop.outcome(queue.put(1));
    let [begunMs, failedMs] = [NaN, NaN];
    const consumer = consume(
      queue,
      () => {
        begunMs = loop.now;
        loop.now += blocksMs;
        return new Promise<void>(() => {});
      },
      { timeoutMs: 100, maxDeliveries: 1, drop: true, onError: () => (failedMs = loop.now) },
    );
    await loop.advance(loop.now + 1000, () => !Number.isNaN(failedMs));
    expect(failedMs - begunMs).toBe(Math.max(100, blocksMs));
    void consumer.stop({ graceMs: 0 });
    await loop.idle();
    await loop.outcome(queue.close());
  }),
);
