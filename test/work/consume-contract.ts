/** What consume promises on every type that holds items for one process: `consume.test.ts` and the tests of a real Ray cluster ask it. */
import { getLocalQueue } from '../../lib';
import type { Queue } from '../../lib';
import { consume } from '../../lib/work';
import type { DeadLetter, Job } from '../../lib/work';
import { never, track, until } from './queues';
import type { QueueTypes } from './queues';

const ignore = (): void => {};
const soon = { backoffMs: () => 1, onError: ignore };
let count = 0;
export const deadLetters = (): Queue<DeadLetter<unknown>> => getLocalQueue(`dead-${process.pid}-${count++}`);

export function describeConsume(types: QueueTypes): void {
  describe.each(Object.entries(types))('%s', (_type, make) => {
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

    test('a signal that has fired already starts nothing', async () => {
      const queue = await make();
      await queue.put('left');
      const consumer = track(consume(queue, never, { signal: AbortSignal.abort() }));
      await consumer.done;
      expect(consumer.stats()).toMatchObject({ active: 0, done: 0 });
      expect(await queue.get()).toBe('left');
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
}
