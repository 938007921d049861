/** What serve and caller promise on every type that has a place for replies: `serve.test.ts` and the tests of a real Ray cluster ask it. */
import { basename } from 'node:path';
import { listSegments, RemoteError } from '../../lib';
import type { Queue } from '../../lib';
import { caller, serve } from '../../lib/work';
import type { Caller, CallerOptions } from '../../lib/work';
import { later, never, track, until } from './queues';
import type { QueueTypes } from './queues';

export function calling<Req, Res>(queue: Queue, options?: CallerOptions): Caller<Req, Res> {
  const one = caller<Req, Res>(queue, options);
  later(() => one.close());
  return one;
}

export const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`expected an error, found ${String(value)}`);
    },
    (error: unknown) => error,
  );

/** @param callsAtATime by the type, in the test of many */
export function describeServe(types: QueueTypes, callsAtATime: (type: string) => number): void {
  describe.each(Object.entries(types))('%s', (type, make) => {
    test('a call resolves to what the handler returns', async () => {
      const queue = await make();
      track(serve<number, number>(queue, async (n) => n * 2, { concurrency: 4 }));
      const doubling = calling<number, number>(queue);
      expect(await Promise.all([1, 2, 3].map((n) => doubling.call(n)))).toEqual([2, 4, 6]);
      // Python has no undefined: it arrives as null.
      expect(await calling<undefined, unknown>(queue).call(undefined)).toBe(type === 'ray_queue' ? 0 : NaN);
    });

    test('what the handler throws is the RemoteError of the caller', async () => {
      const queue = await make();
      track(
        serve(queue, () => {
          throw new RangeError('too far', { cause: new TypeError('inner', { cause: { code: 7 } }) });
        }),
      );
      const error = (await errorOf(calling(queue).call(1))) as RemoteError;
      expect(error).toBeInstanceOf(RemoteError);
      expect(error).toMatchObject({ code: 'ERR_REMOTE', name: 'RangeError', message: 'too far' });
      expect(error.cause).toMatchObject({ name: 'TypeError', message: 'inner', cause: { code: 7 } });
      expect(error.remoteStack).toContain(basename(__filename, '.ts'));
    });

    test('a cause that cannot be sent arrives in words; something thrown that is no error, too', async () => {
      const queue = await make();
      track(
        serve<string, never>(queue, (kind) => {
          if (kind === 'cause') throw new Error('with a function', { cause: () => 1 });
          throw 'a string';
        }),
      );
      const asking = calling<string, never>(queue);
      expect(await errorOf(asking.call('cause'))).toMatchObject({ message: 'with a function' });
      expect(await errorOf(asking.call('string'))).toMatchObject({ code: 'ERR_REMOTE', message: 'a string' });
    });

    test('nobody serves, or the handler hangs: QueueTimeoutError; a request that came too late is skipped', async () => {
      const queue = await make();
      const asking = calling<string, string>(queue, { timeoutMs: 30 });
      expect(await errorOf(asking.call('nobody'))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
      const served: string[] = [];
      track(
        serve<string, string>(
          queue,
          (request) => {
            served.push(request);
            return request === 'hangs' ? never() : request;
          },
          { concurrency: 2 },
        ),
      );
      // Over a network the first reply takes a stream of its own.
      expect(await asking.call('first', { timeoutMs: 10_000 })).toBe('first');
      expect(await errorOf(asking.call('hangs', { timeoutMs: 1000 }))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
      expect(await asking.call('in time', { timeoutMs: 10_000 })).toBe('in time');
      expect(served).toEqual(['first', 'hangs', 'in time']);
    });

    test('the timeout of the handler is told to the caller', async () => {
      const queue = await make();
      track(serve(queue, never, { timeoutMs: 20 }));
      expect(await errorOf(calling(queue).call(1))).toMatchObject({ code: 'ERR_REMOTE', name: 'QueueTimeoutError' });
    });

    test('an abort ends a call with its reason; a closed caller ends all of them', async () => {
      const queue = await make();
      track(serve(queue, never, { concurrency: 8 }));
      const asking = calling(queue);
      const leaving = new AbortController();
      const aborted = errorOf(asking.call(1, { signal: leaving.signal }));
      leaving.abort('enough');
      expect(await aborted).toBe('enough');
      const closed = errorOf(asking.call(2));
      await asking.close();
      expect(await closed).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
      expect(await errorOf(asking.call(3))).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    });

    test('a request of a caller that is gone is skipped', async () => {
      const queue = await make();
      const gone = caller(queue);
      gone.call('from the dead').catch(() => {});
      await until('it is put', async () => (await queue.qsize()) === 1);
      await gone.close();
      const served: unknown[] = [];
      const server = track(serve(queue, (request) => void served.push(request)));
      await calling(queue).call('from the living');
      expect(served).toEqual(['from the living']);
      await until('both are done', () => server.stats().done === 2);
    });

    test('thousands of calls at a time', async () => {
      const queue = await make();
      track(serve<number, number>(queue, async (n) => n + 1, { concurrency: 64 }));
      const adding = calling<number, number>(queue);
      const numbers = Array.from({ length: callsAtATime(type) }, (_, index) => index);
      expect(await Promise.all(numbers.map((n) => adding.call(n)))).toEqual(numbers.map((n) => n + 1));
    });

    test('what is no request is reported, and hurts nobody', async () => {
      const queue = await make();
      await queue.put({ not: 'a request' });
      const errors: unknown[] = [];
      track(serve<number, number>(queue, (n) => n, { onError: (error) => errors.push(error) }));
      expect(await calling<number, number>(queue).call(7)).toBe(7);
      expect(errors).toEqual([expect.any(TypeError)]);
    });

    test('nothing of a caller is left once it has closed', async () => {
      const queue = await make();
      track(serve<number, number>(queue, (n) => n));
      const asking = calling<number, number>(queue);
      await asking.call(1);
      await asking.close();
      if (type.endsWith('local')) return;
      const own = `work.${process.pid}.`;
      await until('its segment is gone', () =>
        listSegments().every(({ queueId }) => !(queueId.startsWith(own) && queueId.includes('.reply.'))),
      );
    });
  });
}
