/** What consume promises, on every type that holds items for one process. */
import { consume } from '../../lib/work';
import type { Job } from '../../lib/work';
import { deadLetters, describeConsume } from './consume-contract';
import { never, queueTypes, track, until } from './queues';

const ignore = (): void => {};
const soon = { backoffMs: () => 1, onError: ignore };

describeConsume(queueTypes);

test('a stop with more time, by a call or by the signal, takes nothing from the promise of an earlier one', async () => {
  const queue = await queueTypes.local!();
  await queue.put('slow');
  const controller = new AbortController();
  const consumer = track(consume(queue, never, { signal: controller.signal }));
  await until('it runs', () => consumer.stats().active === 1);
  const began = performance.now();
  const stopped = consumer.stop({ graceMs: 20 });
  void consumer.stop({ graceMs: 60_000 });
  controller.abort();
  await stopped;
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(await queue.get({ block: false })).toBe('slow');
});

test('a stop after the end leaves no timer that keeps the process', async () => {
  const consumer = track(consume(await queueTypes.local!(), ignore));
  await consumer.stop();
  const before = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  await consumer.stop({ graceMs: 60_000 });
  expect(process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout')).toHaveLength(before);
});

test('the end of the queue is the end of the consumer, once all is done', async () => {
  const queue = await queueTypes.sage_queue!();
  await queue.putMany([1, 2, 3]);
  const consumer = track(
    consume(
      queue,
      (_item, job) => {
        if (job.deliveries < 3) throw new Error('again');
      },
      soon,
    ),
  );
  await queue.shutdown();
  await consumer.done;
  expect(consumer.stats()).toMatchObject({ done: 3, failed: 6 });
});

test('done rejects when the queue fails, and tells those that run when their leases are lost', async () => {
  const queue = await queueTypes.local!();
  await queue.put(1);
  let job: Job | undefined;
  const consumer = track(
    consume(
      queue,
      (_item, given) => {
        job = given;
        return never();
      },
      { concurrency: 2 },
    ),
  );
  await until('it runs', () => job !== undefined);
  await queue.close();
  await expect(consumer.done).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  expect(job!.signal.aborted).toBe(true);
});

test('a handler of batches gets arrays; what came before comes alone', async () => {
  const queue = await queueTypes.local!();
  await queue.putMany([1, 2, 3, 4, 5, 6, 7]);
  const calls: unknown[][] = [];
  const consumer = track(
    consume<unknown>(
      queue,
      (items, job) => {
        calls.push(items);
        if (items.includes(2) && job.deliveries === 1) throw new Error('the whole batch failed');
      },
      { ...soon, batch: 3 },
    ),
  );
  await until('all are done', () => consumer.stats().done === 7);
  expect(calls.slice(0, 1)).toEqual([[1, 2, 3]]);
  expect(
    calls
      .filter((items) => items.length === 1 && Number(items[0]) <= 3)
      .flat()
      .sort(),
  ).toEqual([1, 2, 3]);
  expect(consumer.stats().failed).toBe(3);
});

test('more than maxWaiting go to the back with their counts, so that good items come through', async () => {
  const queue = await queueTypes.sage_queue!(8);
  const attempts = new Map<unknown, number[]>();
  const consumer = track(
    consume(
      queue,
      (item, job) => {
        attempts.set(item, [...(attempts.get(item) ?? []), job.deliveries]);
        if (String(item).startsWith('bad') && job.deliveries < 3) throw new Error('again');
      },
      { onError: ignore, backoffMs: () => 200, maxWaiting: 2 },
    ),
  );
  const bad = Array.from({ length: 20 }, (_, index) => `bad ${index}`);
  await queue.putMany(bad);
  const began = performance.now();
  await queue.putMany(['good 1', 'good 2']);
  await until('good items are done', () => attempts.has('good 1') && attempts.has('good 2'));
  const waited = performance.now() - began;
  await until('all are done', () => consumer.stats().done === 22);
  for (const item of bad) expect(attempts.get(item)).toEqual([1, 2, 3]);
  expect(waited).toBeLessThan(400);
});

test('two consumers in one process do not starve each other, nor the event loop', async () => {
  const [one, two] = [await queueTypes.local!(), await queueTypes.sage_queue!()];
  const items = Array.from({ length: 20_000 }, (_, index) => index);
  await one.putMany(items);
  await two.putMany(items.slice(0, 900));
  const [first, second] = [track(consume(one, ignore)), track(consume(two, ignore, { concurrency: 4 }))];
  let turns = 0;
  const turning = setInterval(() => turns++, 0);
  await until('the short one is done', () => second.stats().done === 900);
  expect(first.stats().done).toBeLessThan(20_000);
  await until('the long one is done', () => first.stats().done === 20_000);
  clearInterval(turning);
  expect(turns).toBeGreaterThan(3);
});

test('an item that nobody can decode is reported and does not end the consumer', async () => {
  const queue = await queueTypes.sage_queue!();
  const handle = (
    queue as unknown as {
      native: { put(bytes: Buffer, from: number, to: number, codec: number, wait: number): number };
    }
  ).native;
  handle.put(Buffer.from([0xc1]), 0, 1, 2, 0);
  await queue.put('good');
  const errors: unknown[] = [];
  const deadLetter = deadLetters();
  const consumer = track(
    consume(queue, ignore, { onError: (error) => errors.push(error), maxDeliveries: 3, deadLetter }),
  );
  await until('the good one is done', () => consumer.stats().done === 1);
  expect(errors).toEqual([expect.objectContaining({ code: 'ERR_ITEM_SERIALIZATION' })]);
  expect([...((await deadLetter.get()).item as Uint8Array)]).toEqual([0xc1]);
});

test('without onError the first failure is a warning of the process', async () => {
  const queue = await queueTypes.local!();
  const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  await queue.putMany([1, 2]);
  const consumer = track(
    consume(
      queue,
      (_item, job) => {
        if (job.deliveries === 1) throw new Error('seen?');
      },
      { backoffMs: () => 1 },
    ),
  );
  await until('both are done', () => consumer.stats().done === 2);
  expect(warnings.mock.calls).toEqual([[expect.stringContaining('seen?'), { code: 'SAGE_QUEUE_HANDLER_FAILED' }]]);
  warnings.mockRestore();
});

test.each([
  [TypeError, { maxDeliveries: 3 }],
  [TypeError, { deadLetter: 'dead' }],
  [TypeError, { onError: 'log' }],
  [RangeError, { concurrency: 0 }],
  [RangeError, { concurrency: 1.5 }],
  [RangeError, { timeoutMs: -1 }],
  [RangeError, { timeoutMs: 0 }],
  [TypeError, { timeoutMs: '30000' }],
  [TypeError, { signal: {} }],
  [RangeError, { maxDeliveries: 0, drop: true }],
])('%p for %j', async (error, options) => {
  const queue = await queueTypes.local!();
  expect(() => consume(queue, ignore, options as never)).toThrow(error);
});

test.each([['8000'], [true], [[]]])('the grace of a stop is no %p', async (graceMs) => {
  const consumer = track(consume(await queueTypes.local!(), ignore));
  await expect(consumer.stop({ graceMs } as never)).rejects.toThrow(TypeError);
});
