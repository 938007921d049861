/** What consume promises, on every type that holds items for one process. */
import { getLocalQueue } from '../../lib';
import type { Queue } from '../../lib';
import { consume } from '../../lib/work';
import type { DeadLetter, Job } from '../../lib/work';
import { never, queueTypes, track, until } from './queues';

const ignore = (): void => {};
const soon = { backoffMs: () => 1, onError: ignore };
let count = 0;
const deadLetters = (): Queue<DeadLetter<unknown>> => getLocalQueue(`dead-${count++}`);

describe.each(Object.entries(queueTypes))('%s', (_type, make) => {
  test('each item is handled and acknowledged, up to concurrency at a time', async () => {
    const queue = await make();
    const items = Array.from({ length: 100 }, (_, index) => index);
    await queue.putMany(items);
    const handled: unknown[] = [];
    let [running, most] = [0, 0];
    const consumer = track(
      consume(
        queue,
        async (item) => {
          most = Math.max(most, ++running);
          await new Promise(setImmediate);
          running--;
          handled.push(item);
        },
        { concurrency: 7 },
      ),
    );
    await until('all are done', () => consumer.stats().done === 100);
    expect(handled.sort((a, b) => Number(a) - Number(b))).toEqual(items);
    expect(most).toBe(7);
    await consumer.stop();
    expect(await queue.qsize()).toBe(0);
    expect(consumer.stats()).toEqual({ active: 0, done: 100, failed: 0, dead: 0, waitingRetry: 0 });
  });

  test('what fails pauses without a place, comes again and counts its deliveries', async () => {
    const queue = await make();
    await queue.put('bad');
    const seen: [unknown, number][] = [];
    const errors: unknown[] = [];
    const consumer = track(
      consume(
        queue,
        (item, job) => {
          seen.push([item, job.deliveries]);
          if (item === 'bad' && job.deliveries < 3) throw new Error(`attempt ${job.deliveries}`);
        },
        {
          backoffMs: (deliveries) => (deliveries === 1 ? 1000 : 1),
          onError: (error, item, job) => errors.push([(error as Error).message, item, job.deliveries]),
        },
      ),
    );
    await until('it pauses', () => consumer.stats().waitingRetry === 1);
    await queue.put('good');
    await until('both are done', () => consumer.stats().done === 2);
    expect(seen).toEqual([
      ['bad', 1],
      ['good', 1],
      ['bad', 2],
      ['bad', 3],
    ]);
    expect(errors).toEqual([
      ['attempt 1', 'bad', 1],
      ['attempt 2', 'bad', 2],
    ]);
  });

  test('after maxDeliveries failed attempts an item is a dead letter, with its error', async () => {
    const queue = await make();
    const deadLetter = deadLetters();
    await queue.putMany(['poison', 'good']);
    let calls = 0;
    const consumer = track(
      consume(
        queue,
        (item) => {
          if (item !== 'poison') return;
          calls++;
          throw new TypeError('always');
        },
        { ...soon, maxDeliveries: 3, deadLetter },
      ),
    );
    const letter = await deadLetter.get();
    expect(letter).toMatchObject({
      item: 'poison',
      error: { name: 'TypeError', message: 'always' },
      deliveries: 3,
      crashes: 0,
      queue: { queue_id: queue.descriptor.queueId },
    });
    expect(Math.abs(letter.failedAtMs - Date.now())).toBeLessThan(10_000);
    await until('it counts', () => consumer.stats().dead === 1 && consumer.stats().done === 1);
    expect(calls).toBe(3);
  });

  test('a handler that hangs has failed at its timeout, no longer counts as running, and is told', async () => {
    const queue = await make();
    await queue.putMany(['hangs', 'good']);
    const reasons: unknown[] = [];
    const errors: unknown[] = [];
    const consumer = track(
      consume(
        queue,
        (item, job): Promise<void> | undefined => {
          if (item !== 'hangs' || job.deliveries > 1) return undefined;
          job.signal.addEventListener('abort', () => reasons.push(job.signal.reason));
          return never();
        },
        { ...soon, timeoutMs: 30, onError: (error) => errors.push(error) },
      ),
    );
    await until('both are done', () => consumer.stats().done === 2);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_QUEUE_TIMEOUT' })]);
    expect(reasons).toEqual(errors);
  });

  test('stop takes nothing more, lets handlers finish, and gives back what pauses', async () => {
    const queue = await make();
    await queue.putMany(['bad', 'slow', 'untouched']);
    let finish = ignore;
    const handled: unknown[] = [];
    const consumer = track(
      consume(
        queue,
        async (item) => {
          if (item === 'bad') throw new Error('bad');
          await new Promise<void>((resolve) => (finish = resolve));
          handled.push(item);
        },
        { backoffMs: () => 60_000, onError: ignore },
      ),
    );
    await until('one pauses, one runs', () => consumer.stats().waitingRetry === 1 && consumer.stats().active === 1);
    const stopped = consumer.stop();
    finish();
    await stopped;
    await consumer.done;
    expect(handled).toEqual(['slow']);
    expect((await queue.getMany(10)).sort()).toEqual(['bad', 'untouched']);
  });

  test('what a consumer gives back untried costs no attempt, however often that happens, and keeps its order', async () => {
    const queue = await make();
    const items = ['a', 'b', 'c'];
    await queue.putMany(items);
    const failing = (): void => {
      throw new Error('not yet');
    };
    for (let round = 0; round < 4; round++) {
      const consumer = track(consume(queue, failing, { concurrency: 3, backoffMs: () => 60_000, onError: ignore }));
      await until('all pause', () => consumer.stats().waitingRetry === 3);
      expect(consumer.stats().failed).toBe(round === 0 ? 3 : 0);
      await consumer.stop();
    }
    const tried: [unknown, number][] = [];
    const last = track(
      consume(queue, (item, { deliveries }) => void tried.push([item, deliveries]), {
        ...soon,
        maxDeliveries: 2,
        drop: true,
        backoffMs: () => 0,
      }),
    );
    await until('each had its second attempt', () => last.stats().done + last.stats().dead === 3);
    expect(tried).toEqual(items.map((item) => [item, 2]));
  });

  test('what outlasts the grace is told, and goes back', async () => {
    const queue = await make();
    await queue.put('slow');
    let job: Job | undefined;
    const consumer = track(
      consume(queue, (_item, given) => {
        job = given;
        return never();
      }),
    );
    await until('it runs', () => consumer.stats().active === 1);
    await consumer.stop({ graceMs: 20 });
    expect(job!.signal.aborted).toBe(true);
    expect(await queue.get({ block: false })).toBe('slow');
  });
});

test('a stop with more time, by a call or by the signal, takes nothing from the promise of an earlier one', async () => {
  const queue = getLocalQueue(`stopped-twice-${count++}`);
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
  const consumer = track(consume(getLocalQueue(`over-${count++}`), ignore));
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
  [RangeError, { maxDeliveries: 0, drop: true }],
])('%p for %j', async (error, options) => {
  const queue = await queueTypes.local!();
  expect(() => consume(queue, ignore, options as never)).toThrow(error);
});
