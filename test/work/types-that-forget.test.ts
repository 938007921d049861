/**
 * Types of somebody's own of whose items nobody knows how often they came, or that count each return: what BaseQueue makes of four methods,
 * and batches that are not this package's. What consumers know of an item goes along with it.
 */
import { BaseQueue, QueueDescriptor } from '../../lib';
import type { LeaseBatch, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { DeadLetter } from '../../lib/work';
import { until, track } from './queues';
import { runSchedules } from '../simulation/run-schedules';

let count = 0;
const fresh = (): QueueDescriptor => QueueDescriptor.createLocalQueue(`forgets-${count++}`);

/** A lease is a get, and what goes back is put again. */
class FourOverridden extends BaseQueue<string> {
  private readonly inner = new StubQueue<string>(this.descriptor);

  override put(item: string, options?: WaitOptions): Promise<void> {
    return this.inner.put(item, options);
  }

  override get(options?: WaitOptions): Promise<string> {
    return this.inner.get(options);
  }

  override empty(): Promise<boolean> {
    return this.inner.empty();
  }

  override qsize(): Promise<number> {
    return this.inner.qsize();
  }
}

/** Counts each return of a lease, and was in a death with everything. */
class CountsReturns extends StubQueue<number> {
  /** How often an item was given out. */
  lent = 0;

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<number>> {
    const batch = await super.leaseMany(max, options);
    this.lent += batch.items.length;
    const release = (): Promise<void> => batch.release();
    return {
      items: batch.items,
      leases: batch.leases.map((lease) => ({ ...lease, crashes: lease.item === 1 ? 1 : 0 })),
      ack: () => batch.ack(),
      release,
      [Symbol.asyncDispose]: release,
    };
  }
}

test('what fails pauses, counts its attempts and is a dead letter after as many', async () => {
  const queue = new FourOverridden(fresh());
  const deadLetter = new StubQueue<DeadLetter<string>>(fresh());
  await queue.putMany(['bad', 'good']);
  const seen: [string, number][] = [];
  const options = { maxDeliveries: 3, deadLetter, backoffMs: () => 5, onError() {} };
  const consumer = track(
    consume<string>(
      queue,
      (item, { deliveries }) => {
        seen.push([item, deliveries]);
        if (item === 'bad') throw new Error('always');
      },
      options,
    ),
  );
  expect(await deadLetter.get()).toMatchObject({ item: 'bad', deliveries: 3 });
  await until('both are over', () => consumer.stats().done === 1 && consumer.stats().dead === 1);
  // prettier-ignore
  expect(seen).toEqual([['bad', 1], ['good', 1], ['bad', 2], ['bad', 3]]);
  expect(await queue.qsize()).toBe(0);
});

test('what a consumer gives back untried costs no attempt, and what it tried does', async () => {
  const queue = new FourOverridden(fresh());
  await queue.putMany(['first', 'second']);
  const seen: [string, number][] = [];
  for (let round = 0; round < 3; round++) {
    const consumer = track(
      consume<string>(queue, (item, { deliveries, signal }) => {
        seen.push([item, deliveries]);
        return new Promise((_resolve, reject) => signal.addEventListener('abort', reject));
      }),
    );
    await until('it runs', () => consumer.stats().active === 1);
    await consumer.stop({ graceMs: 0 });
    expect(await queue.qsize()).toBe(2);
  }
  expect(seen).toEqual([['first', 1], ['second', 1], ['first', 2]]); // prettier-ignore
});

test('a suspect that goes from one busy consumer to the next uses up no attempt', () =>
  runSchedules('suspects that are passed on', 1, async (loop) => {
    const queue = new CountsReturns(fresh());
    const attempts: number[] = [];
    const start = (): ReturnType<typeof consume> =>
      consume<number>(
        queue,
        async (item, { deliveries }) => {
          if (item === 1) attempts.push(deliveries);
          // Longer than consumers wait for a turn.
          await new Promise((resolve) => setTimeout(resolve, item === 1 ? 1 : 20_000));
        },
        { concurrency: 4, backoffMs: () => 0, maxDeliveries: 3, drop: true, onError() {} },
      );
    const consumers = [start(), start()];
    // Those who wait get them in turn: both have one that runs for long, and a place for more.
    for (const item of [0, 0, 0, 1]) {
      await loop.outcome(queue.put(item));
      await loop.advance(loop.now + 50);
    }
    await loop.advance(loop.now + 60_000, () => attempts.length > 0);
    expect(queue.lent).toBeGreaterThan(50);
    expect(attempts).toEqual([1]);
    for (const consumer of consumers) void consumer.stop({ graceMs: 0 });
    await loop.advance(loop.now + 30_000);
    await loop.outcome(queue.close());
  }));
