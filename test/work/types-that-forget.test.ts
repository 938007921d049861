/**
 * Types of somebody's own of whose items nobody knows how often they came, or that count each return: what BaseQueue makes of four methods,
 * and batches that are not this package's. What consumers know of an item goes along with it.
 */
import { QueueClosedError, QueueConnectionError, QueueDescriptor, QueueFullError } from '../../lib';
import type { LeaseBatch, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { DeadLetter } from '../../lib/work';
import { FourOverridden } from '../adapter/queues';
import { until, track } from './queues';
import { runSchedules } from '../simulation/run-schedules';

let count = 0;
const fresh = (): QueueDescriptor => QueueDescriptor.createLocalQueue(`forgets-${count++}`);

/** Takes nothing back, in one way or another. */
class Refuses extends FourOverridden<string> {
  /** Of every put; or, undefined: of none. */
  refusal: Error | undefined;

  override async put(item: string, options?: WaitOptions): Promise<void> {
    // Whoever waits for room gets it.
    if (this.refusal !== undefined && !(this.refusal instanceof QueueFullError && options?.block !== false))
      throw this.refusal;
    return super.put(item, options);
  }

  override shutdown(): Promise<void> {
    return this.inner.shutdown();
  }
}

/** An acknowledgement is done, and then nobody learns of it. */
class LosesAnswers extends StubQueue<string> {
  puts = 0;

  override put(item: string, options?: WaitOptions): Promise<void> {
    this.puts++;
    return super.put(item, options);
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<string>> {
    const batch = await super.leaseMany(max, options);
    const release = (): Promise<void> => batch.release();
    const ack = async (): Promise<void> => {
      await batch.ack();
      throw new QueueConnectionError('no answer');
    };
    return { items: batch.items, leases: batch.leases.map((lease) => ({ ...lease, ack })), ack, release, [Symbol.asyncDispose]: release }; // prettier-ignore
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
  const queue = new FourOverridden<string>(fresh());
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
  const queue = new FourOverridden<string>(fresh());
  await queue.putMany(['first', 'second']);
  const seen: [string, number][] = [];
  for (let round = 0; round < 3; round++) {
    const consumer = track(
      consume<string>(
        queue,
        (item, { deliveries, signal }) => {
          seen.push([item, deliveries]);
          return new Promise((_resolve, reject) => signal.addEventListener('abort', reject));
        },
        // Of two that pause, chance says which comes first.
        { backoffMs: () => 0 },
      ),
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

const ways: [string, (queue: Refuses) => unknown, string[]][] = [
  ['is away', (queue) => (queue.refusal = new QueueConnectionError('away')), ['always', 'away']],
  ['is full', (queue) => (queue.refusal = new QueueFullError('full')), ['always']],
  ['was shut down', (queue) => queue.shutdown(), ['always']],
];

describe.each(ways)('a queue that takes nothing back, as it %s', (_way, refuse, toldOfAttempt) => {
  const start = (queue: Refuses, deadLetter: StubQueue<DeadLetter<string>>, maxDeliveries: number) => {
    const attempts: number[] = [];
    const told: string[] = [];
    const handler = (_item: string, { deliveries }: { deliveries: number }): never => {
      attempts.push(deliveries);
      throw new Error('always');
    };
    const onError = (error: unknown): void => void told.push((error as Error).message);
    const consumer = track(consume<string>(queue, handler, { maxDeliveries, deadLetter, backoffMs: () => 1, onError }));
    return { attempts, told, consumer };
  };

  test('has what fails tried again in its consumer, each failure told once, and then buried', async () => {
    const queue = new Refuses(fresh());
    const deadLetter = new StubQueue<DeadLetter<string>>(fresh());
    await queue.put('bad');
    await refuse(queue);
    const { attempts, told, consumer } = start(queue, deadLetter, 3);
    await until('it is buried, or goes on for ever', () => consumer.stats().dead === 1 || attempts.length > 3);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await deadLetter.get({ block: false })).toMatchObject({ item: 'bad', deliveries: 3 });
    expect(told).toEqual([...toldOfAttempt, ...toldOfAttempt, 'always']);
    expect(await queue.qsize()).toBe(0);
  });

  test('has what could not be buried buried later, without another attempt', async () => {
    const queue = new Refuses(fresh());
    const deadLetter = new StubQueue<DeadLetter<string>>(fresh());
    deadLetter.failNext(new QueueConnectionError('no graves'));
    await queue.put('bad');
    await refuse(queue);
    const { attempts, consumer } = start(queue, deadLetter, 1);
    await until('it is buried', () => consumer.stats().dead === 1);
    expect(attempts).toEqual([1]);
    expect(await deadLetter.get({ block: false })).toMatchObject({ item: 'bad' });
  });

  test('has what was in a death run alone there, too', async () => {
    const queue = new Refuses(fresh());
    const deadLetter = new StubQueue<DeadLetter<string>>(fresh());
    const record = { deliveries: 1, crashes: 1, dueAtMs: 0 };
    await queue.put({ 'sage-queue:retry': record, item: 'bad' } as unknown as string);
    await refuse(queue);
    const { attempts, consumer } = start(queue, deadLetter, 3);
    await until('it is buried, or goes on for ever', () => consumer.stats().dead === 1 || attempts.length > 2);
    expect(attempts).toEqual([2, 3]);
  });
});

test('the end of a queue that was shut down is the end of its consumer, once that has done what the queue does not take back', async () => {
  const queue = new Refuses(fresh());
  await queue.put('twice');
  await queue.shutdown();
  const attempts: number[] = [];
  const handler = (_item: string, { deliveries }: { deliveries: number }): void => {
    if (attempts.push(deliveries) === 1) throw new Error('once');
  };
  const consumer = track(consume<string>(queue, handler, { backoffMs: () => 1, onError() {} }));
  await consumer.done;
  expect(attempts).toEqual([1, 2]);
  expect(consumer.stats()).toMatchObject({ done: 1, waitingRetry: 0 });
});

test('what a consumer had to keep goes back when it stops, if its queue takes it then, and is told of once if not', async () => {
  const queue = new Refuses(fresh());
  const told: string[] = [];
  const onError = (error: unknown): void => void told.push((error as Error).message);
  const seen: number[] = [];
  const start = (): ReturnType<typeof consume> => {
    const handler = (_item: string, { deliveries }: { deliveries: number }): never => {
      seen.push(deliveries);
      throw new Error('always');
    };
    return track(
      consume<string>(queue, handler, { backoffMs: (attempts) => (attempts === 1 ? 1 : 3_600_000), onError }),
    );
  };
  await queue.put('bad');
  queue.refusal = new QueueConnectionError('away');
  const first = start();
  await until('it pauses', () => seen.length === 2 && first.stats().waitingRetry === 1);
  queue.refusal = undefined;
  await first.stop();
  expect(await queue.qsize()).toBe(1);
  expect(told).toEqual(['always', 'away', 'always', 'away']);
  const second = start();
  await until('it pauses as long as it had to', () => second.stats().waitingRetry === 1);
  queue.refusal = new QueueConnectionError('still away');
  await second.stop();
  expect(seen).toEqual([1, 2]);
  expect(told.slice(4)).toEqual(['still away']);
});

test('what does not go back through a handle that was closed is lost, and told of', async () => {
  const queue = new Refuses(fresh());
  const told: unknown[] = [];
  const onError = (error: unknown, item: string): void => void told.push([item, (error as Error).name]);
  const handler = (item: string): Promise<never> | undefined => {
    if (item === 'fails') throw new Error('once');
    return new Promise(() => {});
  };
  const consumer = track(consume<string>(queue, handler, { concurrency: 3, backoffMs: () => 3_600_000, onError }));
  await queue.putMany(['first', 'second', 'fails']);
  const isBusy = (): boolean => consumer.stats().active === 2 && consumer.stats().waitingRetry === 1;
  await until('two run and one pauses', isBusy);
  const { done } = consumer;
  queue.refusal = new QueueClosedError();
  await queue.close();
  await expect(done).rejects.toThrow(QueueClosedError);
  expect(told.sort()).toEqual([['fails', 'Error'], ['fails', 'QueueClosedError'], ['first', 'QueueClosedError'], ['second', 'QueueClosedError']]); // prettier-ignore
});

test('a stop that a shutdown follows is a stop: nothing is tried any more', async () => {
  class Deaf extends Refuses {
    override get(options?: WaitOptions): Promise<string> {
      return super.get(options?.block === false ? options : {});
    }
  }
  const queue = new Deaf(fresh());
  await queue.put('bad');
  let fail!: (error: Error) => void;
  let [attempts, told] = [0, 0];
  const handler = (): Promise<void> => {
    attempts++;
    return new Promise((_resolve, reject) => (fail = reject));
  };
  const options = { concurrency: 2, backoffMs: () => 1, onError: () => void told++ };
  const consumer = track(consume<string>(queue, handler, options));
  await until('it runs', () => attempts === 1);
  const stopped = consumer.stop();
  await queue.shutdown();
  fail(new Error('always'));
  await until('it is over, or tried again', () => told > 1 || attempts > 1);
  expect(attempts).toBe(1);
  await stopped;
  expect(told).toBe(2);
});

test('what was buried is not put back where the queue does not say that it knows', async () => {
  const queue = new LosesAnswers(fresh());
  const deadLetter = new StubQueue<DeadLetter<string>>(fresh());
  await queue.put('bad');
  const told: string[] = [];
  const consumer = track(
    consume<string>(
      queue,
      () => {
        throw new Error('always');
      },
      { maxDeliveries: 1, deadLetter, backoffMs: () => 1, onError: (error) => told.push((error as Error).message) },
    ),
  );
  await until('it is told', () => told.length === 2);
  await consumer.stop();
  expect(told).toEqual(['always', 'no answer']);
  expect(consumer.stats().dead).toBe(1);
  expect(await deadLetter.qsize()).toBe(1);
  expect([queue.puts, await queue.qsize()]).toEqual([1, 0]);
});
