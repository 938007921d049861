/** However a putMany ends early, its error says how many items are in. */
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/** Three of five fit. */
async function threeOfFive(): Promise<{
  queue: ReturnType<typeof fixture.client<string>>;
  backing: Awaited<ReturnType<typeof fixture.serve>>['backing'];
  server: Awaited<ReturnType<typeof fixture.serve>>['server'];
}> {
  const { port, backing, server } = await fixture.serve({ maxsize: 3 });
  const queue = fixture.client<string>(port);
  await queue.qsize();
  return { queue, backing, server };
}

const items = ['a', 'b', 'c', 'd', 'e'];
type Case = Awaited<ReturnType<typeof threeOfFive>> & { controller: AbortController };

test.each<[string, string, (parts: Case) => unknown]>([
  ['close()', 'ERR_QUEUE_CLOSED', ({ queue }) => queue.close()],
  ['shutdown() through the handle', 'ERR_QUEUE_SHUT_DOWN', ({ queue }) => queue.shutdown()],
  ['shutdown by somebody else', 'ERR_QUEUE_SHUT_DOWN', ({ backing }) => backing.shutdown()],
  ['the server that stops', 'ERR_QUEUE_CONNECTION', ({ server }) => server.stop({ graceMs: 1000 })],
  ['abort', 'ABORT', ({ controller }) => controller.abort(Object.assign(new Error('enough'), { code: 'ABORT' }))],
])('ended by %s', async (_, code, end) => {
  const parts = await threeOfFive();
  const controller = new AbortController();
  const error = parts.queue.putMany(items, { signal: controller.signal }).catch((reason: unknown) => reason);
  await until(async () => (await parts.backing.qsize()) === 3);
  await end({ ...parts, controller });
  expect(await error).toMatchObject({ code, accepted: 3 });
  expect(await parts.backing.qsize()).toBe(3);
});

test('two that are ended by one close() each say their own number', async () => {
  const { queue, backing } = await threeOfFive();
  const errors = [queue.putMany(items), queue.putMany(items)].map((put) => put.catch((reason: unknown) => reason));
  await until(async () => (await backing.qsize()) === 3);
  await queue.close();
  expect(await errors[0]).toMatchObject({ code: 'ERR_QUEUE_CLOSED', accepted: 3 });
  expect(await errors[1]).toMatchObject({ code: 'ERR_QUEUE_CLOSED', accepted: 0 });
});

test('ended by its timeout', async () => {
  const { queue } = await threeOfFive();
  await expect(queue.putMany(items, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL', accepted: 3 });
});

test('ended without waiting', async () => {
  const { queue } = await threeOfFive();
  await expect(queue.putMany(items, { block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL', accepted: 3 });
});

test('a connection that breaks before the answer: the outcome is unknown, and the error says so', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client<string>(port);
  await queue.qsize();
  proxy.deaf = 'toClient';
  const error = queue.putMany(['a'], { timeoutMs: 500 }).catch((reason: unknown) => reason);
  await until(async () => (await backing.qsize()) === 1);
  expect(await error).toMatchObject({ code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
});

test('a handle that is closed while the server says nothing: the outcome is unknown, and the error says so', async () => {
  const { port: direct, backing } = await fixture.serve({ maxsize: 3 });
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client<string>(port);
  await queue.qsize();
  proxy.deaf = 'toClient';
  const error = queue.putMany(items).catch((reason: unknown) => reason);
  await until(async () => (await backing.qsize()) === 3);
  await queue.close();
  expect(await error).toMatchObject({ code: 'ERR_QUEUE_CLOSED', outcome: 'unknown', accepted: 0 });
});
