/** A handle that was closed says so, whatever it is asked. */
import { QueueClosedError } from '../../lib';
import type { Queue } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';
import { awaited, closing } from '../closing-options';

const fixture = new Fixture();
afterEach(() => fixture.end());

test.each<[string, (queue: Queue) => Promise<unknown>]>([
  ['put', (queue) => queue.put(1)],
  ['get', (queue) => queue.get()],
  ['putMany', (queue) => queue.putMany([1])],
  ['putMany of nothing', (queue) => queue.putMany([])],
  ['getMany', (queue) => queue.getMany(1)],
  ['getMany of nothing', (queue) => queue.getMany(0)],
  ['lease', (queue) => queue.lease()],
  ['empty', (queue) => queue.empty()],
  ['full', (queue) => queue.full()],
  ['qsize', (queue) => queue.qsize()],
  ['stats', (queue) => queue.stats()],
  ['shutdown', (queue) => queue.shutdown()],
  ['iteration', (queue) => queue[Symbol.asyncIterator]().next()],
])('%s', async (_, call) => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.put(1);
  await queue.close();
  expect(await errorOf(call(queue))).toBeInstanceOf(QueueClosedError);
});

test('a lease: ack() fails, since the item went back, and release() does nothing', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany([1, 2, 3]);
  const [acked, acking, released] = [await queue.lease(), await queue.lease(), await queue.lease()];
  const closing = queue.close();
  expect(await errorOf(acking.ack())).toBeInstanceOf(QueueClosedError);
  await closing;
  expect(await errorOf(acked.ack())).toBeInstanceOf(QueueClosedError);
  await released.release();
  expect(await backing.getMany(5)).toEqual([1, 2, 3]);
});

test.each(awaited)('%s with options that close the handle', async (_name, call) => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany(['first', 'second']);
  expect(await errorOf(call(queue, closing(queue, 'timeoutMs', 1000)))).toBeInstanceOf(QueueClosedError);
  await until(async () => (await backing.stats()).leased === 0);
  expect(await backing.qsize()).toBe(2);
});

test('a shutdown with options that close the handle', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.put('first');
  expect(await errorOf(queue.shutdown(closing(queue, 'immediate', true)))).toBeInstanceOf(QueueClosedError);
  await backing.put('second');
  expect(await backing.qsize()).toBe(2);
});
