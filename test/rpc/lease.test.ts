import { QueueConnectionError } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('released items come again, ahead of others, in their order', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany([1, 2, 3]);
  const first = await queue.lease();
  const second = await queue.lease();
  await first.release();
  await second.release();
  const again = await queue.lease();
  expect([again.item, again.deliveries]).toEqual([1, 2]);
  await again.ack();
  expect(await queue.getMany(5)).toEqual([2, 3]);
  await again.release();
  expect(await queue.empty()).toBe(true);
});

test('close gives open leases back', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany([1, 2, 3]);
  await queue.lease();
  await queue.lease();
  expect(await backing.qsize()).toBe(1);
  await queue.close();
  expect(await backing.getMany(5)).toEqual([1, 2, 3]);
});

test('a lease is lost with its connection, and ack says so', async () => {
  const { port: direct } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  const other = fixture.client(direct);
  await other.putMany([1, 2]);
  const lease = await queue.lease();
  proxy.cut();
  expect(await other.get({ timeoutMs: 2000 })).toBe(lease.item === 1 ? 1 : NaN);
  const error = await errorOf(lease.ack());
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('on lease');
  expect(await queue.get()).toBe(2);
});

test('an item on lease holds its place: a bounded queue takes no more than maxsize', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client(port);
  await queue.put('a');
  const lease = await queue.lease();
  expect((await errorOf(queue.put('b', { block: false }))).name).toBe('QueueFullError');
  await lease.ack();
  await queue.put('b', { block: false });
  await until(async () => (await backing.qsize()) === 1);
});
