/** A call whose time is over before it is on its way says that there was no room, or no item, only where that is known. */
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/** Runs `call` where a turn of the loop ends, and keeps the loop busy until its timers are due ahead of what it has to send. */
const lateFor = (ms: number, call: () => Promise<unknown>): Promise<unknown> =>
  new Promise((resolve) =>
    setImmediate(() => {
      resolve(call());
      const end = performance.now() + ms;
      while (performance.now() < end);
    }),
  );

test('one that the loop had no time to send is sent, and the queue decides', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 2 });
  const queue = fixture.client(port);
  expect(await queue.qsize()).toBe(0);
  await lateFor(20, () => queue.put('there is room', { timeoutMs: 5 }));
  // Later than an answer may be in all.
  await lateFor(400, () => queue.put('there still is', { timeoutMs: 5 }));
  expect(await errorOf(lateFor(20, () => queue.put('now there is none', { timeoutMs: 5 })))).toMatchObject({
    code: 'ERR_QUEUE_FULL',
  });
  expect(await lateFor(20, () => queue.get({ timeoutMs: 5 }))).toBe('there is room');
  expect(await lateFor(400, () => queue.get({ timeoutMs: 5 }))).toBe('there still is');
  expect(await errorOf(lateFor(20, () => queue.get({ timeoutMs: 5 })))).toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  expect(await backing.stats()).toMatchObject({ qsize: 0, leased: 0 });
});

test('one that stands behind more than may be on its way to a full queue says that there was no room', async () => {
  const { port } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client(port);
  await queue.put('in');
  const large = Buffer.alloc(3 * 1024 * 1024);
  const leaving = new AbortController();
  const before = [1, 2].map(() => queue.put(large, { signal: leaving.signal }).catch((error: unknown) => error));
  expect(await errorOf(queue.put('behind them', { timeoutMs: 50 }))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
  leaving.abort('enough');
  expect(await Promise.all(before)).toEqual(['enough', 'enough']);
});
