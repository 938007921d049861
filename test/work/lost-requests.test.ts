/** Calls without a time limit whose requests are dropped, or taken by somebody who does not answer: they hear of it, and no other call does. */
import { serve } from '../../lib/work';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseQueue, QueueDescriptor, registerQueueImplementation, resolveDescriptor } from '../../lib';
import { Impatient } from '../adapter/queues';
import { start } from '../shm/child';
import { calling, errorOf } from './serve-contract';
import { later, never, queueTypes, track, until } from './queues';

/** Longer than it takes until an answer is asked after. */
const SLOW_MS = 2500;
const slowly = <V>(value: V): Promise<V> => new Promise((resolve) => setTimeout(resolve, SLOW_MS, value));

const { now } = Date;
const setTheClockBack = (): unknown => jest.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
afterEach(() => void jest.restoreAllMocks());

/** Those that know what others hold, and have a place for replies. */
const types = Object.entries(queueTypes).filter(([type]) => !['four methods', 'stub'].includes(type));

describe.each(types)('%s', (_type, make) => {
  test('what an immediate shutdown drops is told, and what a server has in hand is answered', async () => {
    const queue = await make();
    const began = new Set<string>();
    track(
      serve<string, string>(queue, (request) => {
        began.add(request);
        return slowly(request);
      }),
    );
    const asking = calling<string, string>(queue);
    const answered = asking.call('in hand');
    await until('it is in hand', () => began.has('in hand'));
    const dropped = [errorOf(asking.call('dropped')), errorOf(asking.call('as well', { timeoutMs: 60_000 }))];
    const first = Promise.race(dropped);
    await until('they are put', async () => (await queue.qsize()) === 2);
    await queue.shutdown({ immediate: true });
    expect(await answered).toBe('in hand');
    // Whoever has set a limit waits for that.
    expect(await first).toMatchObject({ code: 'ERR_QUEUE_SHUT_DOWN', message: expect.stringContaining('dropped') });
    const isLater = Symbol();
    expect(await Promise.race([dropped[1], isLater])).toBe(isLater);
    expect([...began]).toEqual(['in hand']);
    await asking.close();
    expect(await dropped[1]).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  });

  test('what somebody took who does not answer is told', async () => {
    const queue = await make();
    const asking = calling<string, string>(queue);
    const taken = errorOf(asking.call('taken'));
    await queue.get();
    expect(await taken).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
    // What found that out is nobody's request, also for a server whose clock is behind.
    setTheClockBack();
    const served: string[] = [];
    track(serve<string, string>(queue, (request) => (served.push(request), request)));
    expect(await asking.call('next')).toBe('next');
    expect(served).toEqual(['next']);
  });
});

test('what was taken from a queue that was then shut down is not said to have been dropped for certain', async () => {
  const queue = await queueTypes.local!();
  const taken = errorOf(calling<string, string>(queue).call('taken'));
  await queue.get();
  await queue.shutdown();
  const error = await taken;
  expect(error).toMatchObject({ code: 'ERR_QUEUE_SHUT_DOWN', outcome: 'unknown' });
  expect(error).toMatchObject({ message: expect.stringContaining('something other than serve() took it') });
});

describe.each(['local', 'sage_queue', 'rpc, before local'])('%s', (type) => {
  test('a call that takes its time is answered, whatever becomes of others', async () => {
    const queue = await queueTypes[type]!();
    track(
      serve<string, string>(queue, (request) => (request === 'slow' ? slowly(request) : request), { concurrency: 2 }),
    );
    const [asking, other] = [calling<string, string>(queue), calling<string, string>(queue)];
    const slow = asking.call('slow');
    // Each of these leaves the queue as empty as the first one would have been.
    const ends = performance.now() + SLOW_MS - 500;
    while (performance.now() < ends) {
      expect(await other.call('quick')).toBe('quick');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await slow).toBe('slow');
  });
});

test('on a type that does not know what others hold, what bounds a call is its timeout', async () => {
  const queue = await queueTypes['four methods']!();
  const asking = calling<string, string>(queue);
  const asked = jest.spyOn(BaseQueue.prototype, 'join');
  let ended = false;
  asking
    .call('without')
    .catch(() => {})
    .finally(() => (ended = true));
  await until('it was asked after', () => asked.mock.calls.length === 1);
  expect(await errorOf(asking.call('with', { timeoutMs: 2500 }))).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
  expect([asked.mock.calls.length, ended]).toEqual([1, false]);
});

test('a type of four methods and a join() of its own, which knows nothing of our leases, is not asked', async () => {
  class Joined<T> extends Impatient<T> {
    asked = 0;

    async join(): Promise<void> {
      this.asked++;
    }
  }
  registerQueueImplementation('joined', Joined);
  const queue = resolveDescriptor<unknown>(new QueueDescriptor({ queueId: 'joined', queueType: 'joined' }));
  await queue.put('leased');
  const lease = await queue.lease();
  expect(await errorOf(queue.join())).toBeInstanceOf(TypeError);
  await lease.ack();
  let ended = false;
  calling<string, string>(queue)
    .call('in hand')
    .catch(() => {})
    .finally(() => (ended = true));
  const asked = jest.spyOn(BaseQueue.prototype, 'join');
  await queue.lease();
  await until('it was asked after', () => asked.mock.calls.length === 1 || ended);
  expect([ended, (queue as unknown as Joined<unknown>).asked]).toEqual([false, 0]);
});

test('what was asked after keeps no process that has its answer', async () => {
  const queue = await queueTypes.sage_queue!();
  track(
    serve<string, string>(queue, (request) => (request === 'slow' ? slowly(request) : never()), { concurrency: 2 }),
  );
  // It is in hand all the time.
  calling<string, string>(queue)
    .call('hangs')
    .catch(() => {});
  const program = `
    const { caller } = require('sage-queue/work');
    caller(open()).call('slow').then(say);
  `;
  const child = start(program, queue.descriptor.toJSON());
  later(() => child.kill());
  expect(await child.next()).toBe('slow');
  expect((await child.ended).code).toBe(0);
});

test('an answer that waits to be read is none that is missing', async () => {
  const MANY = 5000;
  const queue = await queueTypes.sage_queue!(MANY);
  const folder = mkdtempSync(join(tmpdir(), 'sage-queue-'));
  later(async () => rmSync(folder, { recursive: true }));
  const done = join(folder, 'done');
  const program = `
    const { serve } = require('sage-queue/work');
    const [many, done] = given;
    let answer;
    const answers = new Promise((resolve) => (answer = resolve));
    let begun = 0;
    const server = serve(open(), () => (++begun === many && say('all are in hand'), answers), { concurrency: many });
    process.stdin.once('data', answer);
    setInterval(() => server.stats().done === many && fs.writeFileSync(done, ''), 5);
  `;
  const child = start(program, queue.descriptor.toJSON(), [MANY, done]);
  later(() => child.kill());
  const asked = jest.spyOn(queue, 'join');
  const asking = calling<number, unknown>(queue);
  const answered = Promise.all(Array.from({ length: MANY }, (_, n) => asking.call(n)));
  expect(await child.next()).toBe('all are in hand');
  await until('they were asked after', () => asked.mock.calls.length === 1);
  child.tell('go');
  // This thread reads nothing until all are done with, and then has the answers and the end of the work to hear of.
  const deadline = performance.now() + 10_000;
  while (!existsSync(done) && performance.now() < deadline);
  expect(existsSync(done)).toBe(true);
  expect((await answered).length).toBe(MANY);
});

test('a call that waits for its answer wakes nobody', async () => {
  const queue = await queueTypes.local!();
  track(serve<string, string>(queue, never));
  jest.useFakeTimers({
    now: 0,
    doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'setInterval'],
  });
  try {
    const asked = jest.spyOn(queue, 'join');
    calling<string, string>(queue)
      .call('waits')
      .catch(() => {});
    while ((await queue.stats()).leased === 0) await new Promise(setImmediate);
    await jest.advanceTimersByTimeAsync(2000);
    expect([asked.mock.calls.length, jest.getTimerCount()]).toEqual([1, 0]);
  } finally {
    jest.useRealTimers();
  }
});
