import { QueueConnectionError } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('a put whose answer was lost is applied once', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.deaf = 'toClient';
  const put = queue.put('second');
  await until(async () => (await backing.qsize()) === 2);
  proxy.deaf = 'none';
  proxy.cut();
  await put;
  expect(await backing.getMany(10)).toEqual(['first', 'second']);
});

test('a put that never reached the server is sent again', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.deaf = 'toServer';
  const put = queue.put('second');
  proxy.cut();
  proxy.deaf = 'none';
  await put;
  expect(await backing.getMany(10)).toEqual(['first', 'second']);
});

test('a get whose confirmation was lost gives its item once', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  expect(await queue.qsize()).toBe(0);
  for (let round = 0; round < 20; round++) {
    const got = queue.get();
    await backing.putMany([round, 'next']);
    // Somewhere between delivery and confirmation.
    for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    proxy.cut();
    expect(await got).toBe(round);
    expect(await queue.get()).toBe('next');
  }
  expect(await backing.qsize()).toBe(0);
});

test('past the time that the server remembers, the outcome is unknown and nothing is sent again', async () => {
  const { port: direct, backing } = await fixture.serve({ rememberMs: 150 });
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.deaf = 'toClient';
  const put = errorOf(queue.put('second'));
  await until(async () => (await backing.qsize()) === 2);
  proxy.refusing = true;
  proxy.cut();
  const error = await put;
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/no longer remembers.*outcome is unknown/);
  proxy.refusing = false;
  proxy.deaf = 'none';
  await queue.put('third');
  expect(await backing.getMany(10)).toEqual(['first', 'second', 'third']);
});

test('a timeout while a sent put waits for the connection: the outcome is unknown, in words', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.deaf = 'toClient';
  const put = errorOf(queue.put('second', { timeoutMs: 300 }));
  await until(async () => (await backing.qsize()) === 2);
  proxy.refusing = true;
  proxy.cut();
  const error = await put;
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/put: sent to .* waited 3\d\d ms for the connection to come back.*outcome is unknown/);
});

test('a server that has gone silent is blamed shortly after the timeout', async () => {
  const { port: direct } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.deaf = 'both';
  const started = performance.now();
  const error = await errorOf(queue.put('second', { timeoutMs: 200 }));
  expect(error.message).toMatch(/has not answered within \d+ ms; its outcome is unknown/);
  expect((await errorOf(queue.get({ timeoutMs: 200 }))).message).toMatch(/has not answered/);
  expect(performance.now() - started).toBeLessThan(1500);
});

test('a client that comes back before its old stream was seen to end takes over from it', async () => {
  const { port: direct, backing } = await fixture.serve({ maxsize: 1 });
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  const waiting = queue.put('second');
  await until(async () => (await backing.stats()).waitingPutters === 1);
  proxy.cut();
  // The put that waited on the old stream must not go in beside its repetition.
  await until(async () => proxy.connections === 2 && (await backing.stats()).waitingPutters === 1);
  expect(await backing.get()).toBe('first');
  await waiting;
  expect(await backing.getMany(10)).toEqual(['second']);
});
