/**
 * Consumers on a virtual loop that never run out of work, with handlers that take long and end one after the other, and nobody comes in
 * the place of one that died: what it held is run all the same, by one of the others that lets go of everything for it.
 */
import assert from 'node:assert/strict';
import { QueueDescriptor } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import { MortalStore } from './mortal-store';
import { runSchedules } from './run-schedules';

const CONCURRENCY = 4;
/** A turn is drawn within ten seconds, and again where another consumer had the suspects meanwhile. */
const MOST_MS = 60_000;

let schedules = 0;

void runSchedules('turns', 12, async (loop, random) => {
  const count = random.pick([3, 17]);
  const descriptor = QueueDescriptor.createLocalQueue(`turns-${schedules++}`, { maxsize: 10_000 });
  const store = new MortalStore(10_000);
  const source = new StubQueue<number>(descriptor, undefined, store);
  const suspects = new Set<number>();
  let dead = -1;
  let next = 0;
  const fill = async (): Promise<void> => {
    while ((await source.qsize()) < 100) await source.put(next++);
  };
  const workers = Array.from({ length: count }, (_, index) => {
    const queue = new StubQueue<number>(descriptor, undefined, store);
    const held = new Set<number>();
    const consumer = consume(
      queue,
      async (id) => {
        held.add(id);
        await new Promise((resolve) => setTimeout(resolve, 50 + 150 * random.next()));
        held.delete(id);
        if (index === dead) return;
        suspects.delete(id);
        void fill();
      },
      { concurrency: CONCURRENCY, onError: () => {} },
    );
    consumer.done.catch(() => {});
    return { consumer, queue, held };
  });
  void fill();
  await loop.advance(loop.now + 1000);

  const victim = workers[0]!;
  dead = 0;
  for (const id of victim.held) suspects.add(id);
  assert.equal(suspects.size, CONCURRENCY);
  store.isDeath = true;
  void victim.queue.close();
  store.isDeath = false;
  await loop.advance(loop.now + MOST_MS, () => suspects.size === 0);
  assert.deepEqual([...suspects], [], `suspects of ${count} consumers that nobody runs`);

  for (const { consumer } of workers) void consumer.stop({ graceMs: 0 });
  await loop.advance(loop.now + 1000);
  for (const { queue } of workers) await loop.outcome(queue.close());
  await loop.outcome(source.close());
});
