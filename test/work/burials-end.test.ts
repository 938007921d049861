/** Dead letters that wait for room end with what they are for: with a stop, with the handle, with the lease. And what is left of an item is not lost. */
import {
  QueueClosedError,
  QueueConnectionError,
  QueueDescriptor,
  QueueTimeoutError,
  resolveDescriptor,
  SerializationError,
} from '../../lib';
import type { LeaseBatch, Queue, QueueLike, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { ConsumeOptions, DeadLetter } from '../../lib/work';
import { FourOverridden } from '../adapter/queues';
import { never, queueTypes, track, until } from './queues';

let count = 0;
const fresh = (maxsize = 0): QueueDescriptor => QueueDescriptor.createLocalQueue(`burials-${count++}`, { maxsize });
const ignore = (): void => {};
const fail = (): never => {
  throw new Error('always');
};

/** One grave, which somebody lies in. */
async function fullGraves(): Promise<StubQueue<DeadLetter>> {
  const graves = new StubQueue<DeadLetter>(fresh(1));
  await graves.put({ item: 'somebody' } as DeadLetter);
  return graves;
}

const waitsForRoom = (graves: StubQueue<unknown>): Promise<void> =>
  until('the letter waits for room', async () => ((await graves.stats()).waitingPutters ?? 0) > 0);

describe.each(['local', 'sage_queue', 'shm'] as const)('on %s', (type) => {
  test('a burial ends with the handle of its consumer, and its item is in the queue alone', async () => {
    const keeper = await queueTypes[type]!();
    const queue = resolveDescriptor(keeper.descriptor) as Queue;
    const deadLetter = await fullGraves();
    const told: string[] = [];
    const onError = (error: unknown): void => void told.push((error as Error).message);
    const consumer = track(consume(queue, fail, { maxDeliveries: 1, deadLetter, onError }));
    await queue.put('bad');
    await waitsForRoom(deadLetter);
    await queue.close();
    await expect(consumer.done).rejects.toThrow(QueueClosedError);
    await deadLetter.get();
    expect(await deadLetter.qsize()).toBe(0);
    expect([told, consumer.stats().dead]).toEqual([['always'], 0]);
    expect((await keeper.lease({ block: false })).deliveries).toBe(2);
  });
});

test('a burial ends with the lease of its item, and the handle goes on', async () => {
  class Loses extends StubQueue {
    private readonly lent: LeaseBatch<unknown>[] = [];

    override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<unknown>> {
      const batch = await super.leaseMany(max, options);
      this.lent.push(batch);
      return batch;
    }

    lose(): void {
      for (const batch of this.lent.splice(0)) void batch.release();
      this.tellLeasesLost(new QueueConnectionError('away too long'));
    }
  }
  const queue = new Loses(fresh());
  const deadLetter = await fullGraves();
  const options = { maxDeliveries: 1, deadLetter, backoffMs: () => 3_600_000, onError: ignore };
  const consumer = track(consume(queue, fail, options));
  await queue.put('bad');
  await waitsForRoom(deadLetter);
  queue.lose();
  await until('it came again, and pauses', () => consumer.stats().waitingRetry === 1);
  await deadLetter.get();
  expect(await deadLetter.qsize()).toBe(0);
});

test('what its queue does not take back waits for its grave when the handle is closed, until the consumer is stopped', async () => {
  class Closes extends FourOverridden {
    override async close(): Promise<void> {
      await this.inner.close();
      await super.close();
    }
  }
  const queue = new Closes(fresh());
  const deadLetter = await fullGraves();
  const consumer = track(consume(queue, fail, { maxDeliveries: 1, deadLetter, onError: ignore }));
  await queue.put('bad');
  await waitsForRoom(deadLetter);
  const { done } = consumer;
  void done.catch(ignore);
  await queue.close();
  await deadLetter.get();
  expect(await deadLetter.get()).toMatchObject({ item: 'bad' });
  await expect(done).rejects.toThrow(QueueClosedError);
  expect(consumer.stats().dead).toBe(1);
});

test('a stop waits no longer than its grace and a moment for a grave that never answers; its item comes again', async () => {
  const queue = await queueTypes.sage_queue!();
  let asked = 0;
  const put = (): Promise<never> => {
    asked++;
    return never();
  };
  const deadLetter = { put } as unknown as QueueLike<DeadLetter>;
  const consumer = track(consume(queue, fail, { maxDeliveries: 1, deadLetter, onError: ignore }));
  await queue.put('bad');
  await until('it is asked', () => asked === 1);
  const began = performance.now();
  await consumer.stop({ graceMs: 20 });
  expect(performance.now() - began).toBeLessThan(5000);
  expect(await queue.get({ block: false })).toBe('bad');
  await expect(consumer.done).resolves.toBeUndefined();
});

test('a put that was called off, and is in all the same, is a dead letter: its item does not come again', async () => {
  const queue = await queueTypes.sage_queue!();
  let asked = 0;
  const put = (_letter: unknown, { signal }: { signal: AbortSignal }): Promise<void> => {
    asked++;
    return new Promise((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, 20)));
  };
  const deadLetter = { put } as unknown as QueueLike<DeadLetter>;
  const consumer = track(consume(queue, fail, { maxDeliveries: 1, deadLetter, onError: ignore }));
  await queue.put('bad');
  await until('it is asked', () => asked === 1);
  await consumer.stop({ graceMs: 0 });
  expect([await queue.qsize(), (await queue.stats()).leased, consumer.stats().dead]).toEqual([0, 0, 1]);
});

test('a stop waits no longer than its grace for a get that heeds no signal; what that brings goes back', async () => {
  class Deaf extends FourOverridden<string> {
    override get(options?: WaitOptions): Promise<string> {
      return super.get(options?.block === false ? options : {});
    }
  }
  const queue = new Deaf(fresh());
  const seen: string[] = [];
  const consumer = track(consume<string>(queue, (item) => void seen.push(item)));
  await queue.put('first');
  await until('it is done', () => consumer.stats().done === 1);
  await consumer.stop({ graceMs: 20 });
  await queue.put('late');
  await until('it has gone back', async () => (await queue.qsize()) === 1);
  expect(await queue.get({ block: false })).toMatchObject({ item: 'late' });
  expect(seen).toEqual(['first']);
});

describe('an item that cannot be decoded', () => {
  const bytes = Buffer.from('left');
  const bad = new SerializationError('no such codec', { bytes });

  function start(deadLetter: StubQueue<DeadLetter>, more: ConsumeOptions<unknown> = {}) {
    const queue = new StubQueue(fresh());
    const told: unknown[] = [];
    const onError = (error: unknown, item: unknown): void => void told.push([error, item]);
    queue.failNext(bad);
    const consumer = track(
      consume(queue, ignore, { maxDeliveries: 3, deadLetter, backoffMs: () => 20, onError, ...more }),
    );
    return { queue, told, consumer };
  }

  test('is buried again after a pause, as often as that fails, and is told of each time', async () => {
    const deadLetter = new StubQueue<DeadLetter>(fresh());
    const away = new QueueConnectionError('no way there');
    for (let faults = 0; faults < 3; faults++) deadLetter.failNext(away);
    const attempts: number[] = [];
    const backoffMs = (deliveries: number): number => {
      attempts.push(deliveries);
      return 1;
    };
    const { queue, told, consumer } = start(deadLetter, { backoffMs });
    await until('it is buried', () => consumer.stats().dead === 1);
    expect(await deadLetter.get({ block: false })).toMatchObject({ item: bytes, deliveries: 1, crashes: 0 });
    expect(told).toEqual([bad, away, away, away].map((error) => [error, bytes]));
    expect(attempts).toEqual([1, 2, 3]);
    expect(await queue.qsize()).toBe(0);
  });

  test('waits for its grave where its queue was shut down', async () => {
    const deadLetter = new StubQueue<DeadLetter>(fresh());
    for (let faults = 0; faults < 3; faults++) deadLetter.failNext(new QueueConnectionError('no way there'));
    const { queue, consumer } = start(deadLetter);
    await queue.shutdown();
    await consumer.done;
    expect(await deadLetter.get({ block: false })).toMatchObject({ item: bytes });
  });

  test('is tried once more at a stop', async () => {
    const deadLetter = new StubQueue<DeadLetter>(fresh());
    deadLetter.failNext(new QueueConnectionError('no way there'));
    const { consumer } = start(deadLetter, { backoffMs: () => 3_600_000 });
    await until('it pauses', () => consumer.stats().waitingRetry === 1);
    await consumer.stop();
    expect(await deadLetter.get({ block: false })).toMatchObject({ item: bytes });
  });

  test('is told of as lost when there is no room for it until the end of the stop', async () => {
    const deadLetter = await fullGraves();
    const { told, consumer } = start(deadLetter);
    await waitsForRoom(deadLetter);
    await consumer.stop({ graceMs: 20 });
    const lost = expect.objectContaining({ name: 'QueueTimeoutError', cause: bad }) as QueueTimeoutError;
    expect(told).toEqual([bad, lost].map((error) => [error, bytes]));
  });

  test('is told of as lost when its grave fails at the end, too', async () => {
    const deadLetter = new StubQueue<DeadLetter>(fresh());
    const away = new QueueConnectionError('no way there');
    for (let faults = 0; faults < 2; faults++) deadLetter.failNext(away);
    const { told, consumer } = start(deadLetter, { backoffMs: () => 3_600_000 });
    await until('it pauses', () => consumer.stats().waitingRetry === 1);
    await consumer.stop();
    expect(told).toEqual([bad, away, away].map((error) => [error, bytes]));
  });
});
