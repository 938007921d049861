/** Handlers, and what consumers are given beside them, that do what no such function should: nothing is lost to it, and nothing ends by it. */
import { setTimeout as delay } from 'node:timers/promises';
import { getLocalQueue, QueueDescriptor } from '../../lib';
import type { LeaseBatch, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume, serve } from '../../lib/work';
import type { ConsumeOptions, DeadLetter } from '../../lib/work';
import { LONGEST_PAUSE_MS, readRecord, recordIn, recordOf } from '../../lib/work/retry-record';
import { deadLetters } from './consume-contract';
import { queueTypes, track, until } from './queues';
import { calling, errorOf } from './serve-contract';

const ignore = (): void => {};

/** What cannot even be asked for its message. */
const unspeakable: [string, () => unknown][] = [
  ['an object without a prototype', () => Object.create(null)],
  ['an error whose message throws', () => throwing('message')],
  ['an error whose toString throws', () => throwing('toString')],
  ['an error whose cause throws', () => throwing('cause')],
  ['a revoked proxy', () => revoked()],
  ['a cause that is a revoked proxy', () => new Error('inside', { cause: revoked() })],
  ['a symbol', () => Symbol('thrown')],
];

const throwing = (name: string): Error =>
  Object.defineProperty(new Error('outside'), name, {
    get: () => {
      throw new Error(`asked for its ${name}`);
    },
  });

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

let warnings: jest.SpyInstance;
beforeEach(() => {
  warnings = jest.spyOn(process, 'emitWarning').mockImplementation(ignore);
});
afterEach(() => warnings.mockRestore());

const codes = (): unknown[] => warnings.mock.calls.map(([, options]) => (options as { code: string }).code);

describe.each(unspeakable)('%s', (_what, make) => {
  test.each([
    ['at once', () => Promise.resolve()],
    ['later', () => delay(1)],
  ])('that a handler throws %s is a failed attempt', async (when, pause) => {
    const queue = await queueTypes.sage_queue!();
    await queue.putMany(['first', 'second']);
    const deadLetter = deadLetters();
    const fail = (): never => {
      throw make();
    };
    const handler = when === 'at once' ? fail : async () => pause().then(fail);
    const consumer = track(consume(queue, handler, { maxDeliveries: 1, deadLetter }));
    await until('both are buried', () => consumer.stats().dead === 2);
    expect(codes()).toEqual(['SAGE_QUEUE_HANDLER_FAILED']);
    const [letter] = (await deadLetter.getMany(2)) as DeadLetter[];
    expect(letter).toMatchObject({ item: 'first', error: { name: 'Error', message: expect.any(String) } });
    expect((await queue.stats()).leased).toBe(0);
  });

  test('that a served handler throws is answered', async () => {
    const queue = await queueTypes.sage_queue!();
    track(
      serve(queue, () => {
        throw make();
      }),
    );
    expect(await errorOf(calling(queue, { timeoutMs: 10_000 }).call(1))).toMatchObject({ code: 'ERR_REMOTE' });
  });

  test('that onError throws, or rejects with, is a warning', async () => {
    const queue = await queueTypes.local!();
    await queue.putMany([1, 2]);
    const consumer = track(
      consume(
        queue,
        () => {
          throw new Error('failed');
        },
        {
          maxDeliveries: 1,
          drop: true,
          onError: (_error, item) => {
            if (item === 1) throw make();
            return Promise.reject(make()) as never;
          },
        },
      ),
    );
    await until('both are told', () => warnings.mock.calls.length === 2);
    expect(codes()).toEqual(['SAGE_QUEUE_ON_ERROR', 'SAGE_QUEUE_ON_ERROR']);
    expect(consumer.stats().dead).toBe(2);
  });
});

test.each<[string, () => unknown]>([
  [
    'whose then throws',
    () => ({
      then: () => {
        throw new Error('then');
      },
    }),
  ],
  [
    'whose then cannot be read',
    () =>
      Object.defineProperty({}, 'then', {
        get: () => {
          throw new Error('then');
        },
      }),
  ],
  ['that rejects', () => ({ then: (_resolve: unknown, reject: (error: Error) => void) => reject(new Error('then')) })],
])('a thenable %s is a failed attempt', async (_which, make) => {
  const queue = await queueTypes.local!();
  await queue.putMany([1, 2]);
  const deadLetter = deadLetters();
  const consumer = track(consume(queue, make as never, { maxDeliveries: 1, deadLetter, onError: ignore }));
  await until('both are buried', () => consumer.stats().dead === 2);
  expect((await deadLetter.get()).error.message).toBe('then');
});

test.each([['500'], [5n], [undefined]])(
  'a pause of %p is none: it is told, and the usual one taken',
  async (pauseMs) => {
    const queue = await queueTypes.local!();
    await queue.put(1);
    const errors: unknown[] = [];
    const consumer = track(
      consume(
        queue,
        (_item, { deliveries }) => {
          if (deliveries === 1) throw new Error('again');
        },
        { backoffMs: (() => pauseMs) as never, onError: (error) => errors.push(error) },
      ),
    );
    await until('it is done', () => consumer.stats().done === 1);
    expect(errors).toContainEqual(expect.objectContaining({ name: 'TypeError' }));
  },
);

test.each([Infinity, Number.MAX_VALUE])(
  'a pause of %p is a long one, and its item goes back as it was',
  async (pauseMs) => {
    const queue = await queueTypes.sage_queue!();
    await queue.put({ a: 1 });
    const seen: unknown[] = [];
    const fail = (item: unknown): never => {
      seen.push(item);
      throw new Error('again');
    };
    const options: ConsumeOptions<unknown> = { backoffMs: () => pauseMs, maxWaiting: 0, onError: ignore };
    const consumer = track(consume(queue, fail, options));
    // It is put behind others, as often as it comes.
    await until('it has moved', async () => (await queue.stats()).putTotal > 2);
    await consumer.stop();
    const waiting = track(consume(queue, fail, { ...options, maxWaiting: 1 }));
    await until('it pauses', () => waiting.stats().waitingRetry === 1);
    await waiting.stop();
    expect(seen).toEqual([{ a: 1 }]);
    expect(await queue.get({ block: false })).toMatchObject({ 'sage-queue:retry': { deliveries: 1 }, item: { a: 1 } });
  },
);

test.each([-1, NaN, 0.5, Infinity, undefined, 3])('of %p deliveries a consumer writes what it reads', (deliveries) => {
  const record = recordIn(LONGEST_PAUSE_MS, { deliveries: deliveries as number, crashes: 0 });
  expect(readRecord(recordOf('item', record))).toEqual({ item: 'item', record });
  expect(record.deliveries).toBe(deliveries === 3 ? 3 : 0);
});

test('leases whose acks throw at once are told of, and the consumer goes on', async () => {
  class Throws extends StubQueue {
    override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<unknown>> {
      const batch = await super.leaseMany(max, options);
      const end = (): never => {
        throw new Error('no end');
      };
      const leases = batch.leases.map((lease) => ({ ...lease, ack: end, release: end }));
      return { items: batch.items, leases, ack: end, release: end, [Symbol.asyncDispose]: end };
    }
  }
  const queue = new Throws(QueueDescriptor.createLocalQueue('throws'));
  const told: unknown[] = [];
  const onError = (error: unknown, item: unknown): void => void told.push([(error as Error).message, item]);
  const consumer = track(consume(queue, ignore, { concurrency: 4, onError }));
  await queue.putMany([1, 2]);
  await until('it is told', () => told.length === 2);
  await queue.put(3);
  await until('of the next one, too', () => told.length === 3);
  await consumer.stop();
  expect(told).toEqual([1, 2, 3].map((item) => ['no end', item]));
});

test('a clock that is set back makes no pause longer', async () => {
  const queue = await queueTypes.sage_queue!();
  await queue.put(1);
  const { now } = Date;
  const options: ConsumeOptions<unknown> = { maxWaiting: 0, backoffMs: () => 50, onError: ignore };
  const consumer = track(
    consume(
      queue,
      () => {
        if (consumer.stats().failed === 0) throw new Error('again');
      },
      options,
    ),
  );
  await until('it failed', () => consumer.stats().failed === 1);
  Date.now = () => now() - 3_600_000;
  try {
    await until('it is done', () => consumer.stats().done === 1);
  } finally {
    Date.now = now;
  }
});

test.each([['batch', 3] as const, ['drop', true] as const, ['deadLetter', getLocalQueue('unruly')] as const])(
  'serve knows no %s',
  async (name, value) => {
    const queue = await queueTypes.local!();
    expect(() => serve(queue, ignore, { [name]: value } as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_OPTION_UNKNOWN' }),
    );
  },
);

test.each<[string, unknown, object]>([
  ['no option that nobody knows', { timeoutms: 5 }, { code: 'ERR_OPTION_UNKNOWN' }],
  ['no text for its time', { timeoutMs: '5' }, { name: 'TypeError' }],
  ['no time before now', { timeoutMs: -1 }, { name: 'RangeError' }],
  ['no signal that is none', { signal: {} }, { name: 'TypeError' }],
  ['nothing but an object', 5, { name: 'TypeError' }],
])('a call takes %s', async (_what, options, error) => {
  const queue = await queueTypes.local!();
  expect(await errorOf(calling<number, number>(queue).call(1, options as never))).toMatchObject(error);
});

test('null is no options', async () => {
  const queue = await queueTypes.local!();
  const server = track(serve<number, number>(queue, (n) => n + 1, null as never));
  expect(await calling<number, number>(queue).call(1, null as never)).toBe(2);
  await server.stop(null as never);
});
