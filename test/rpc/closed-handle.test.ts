/** A handle that was closed says so, whatever it is asked. */
import { QueueClosedError } from '../../lib';
import type { Queue } from '../../lib';
import { errorOf, Fixture } from './support/fixture';

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
