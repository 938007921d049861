/** Items arrive many in one piece of memory. One that a program keeps does not keep the piece. */
import type { Queue } from '../../lib';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const COUNT = 4096;
/** Node's own pool, out of which small Buffers are. */
const POOL_BYTES = Math.max(Buffer.poolSize, Buffer.from('of the pool').buffer.byteLength);

async function takenBy(how: string, queue: Queue<Buffer>): Promise<Buffer[]> {
  if (how === 'getMany') return queue.getMany(COUNT);
  if (how === 'leaseMany') {
    const batch = await queue.leaseMany(COUNT);
    await batch.ack();
    return [...batch.items];
  }
  const items: Buffer[] = [];
  const source = how === 'for await' ? queue : (queue.readable() as AsyncIterable<Buffer>);
  for await (const item of source) if (items.push(item) === 1000) break;
  return items;
}

test.each(['getMany', 'leaseMany', 'for await', 'readable'])('a small item of %s', async (how) => {
  const { port } = await fixture.serve();
  const queue = fixture.client<Buffer>(port);
  await queue.putMany(Array.from({ length: COUNT }, (_, index) => Buffer.alloc(64, index)));
  const items = await takenBy(how, queue);
  expect(items.length).toBeGreaterThanOrEqual(1000);
  items.forEach((item, index) => expect(item).toEqual(Buffer.alloc(64, index)));
  expect(Math.max(...items.map(({ buffer }) => buffer.byteLength))).toBeLessThanOrEqual(POOL_BYTES);
});

test('a small item in the queue behind the server', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<Buffer>(port);
  await queue.putMany(Array.from({ length: COUNT }, (_, index) => Buffer.alloc(64, index)));
  const items = (await (backing as Queue<Buffer>).getMany(COUNT)) as Buffer[];
  expect(items).toHaveLength(COUNT);
  expect(Math.max(...items.map(({ buffer }) => buffer.byteLength))).toBeLessThanOrEqual(POOL_BYTES);
});

test('a large item is not copied', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client<Buffer>(port);
  await queue.put(Buffer.alloc(100_000, 1));
  const item = await queue.get();
  expect(item).toEqual(Buffer.alloc(100_000, 1));
  expect(item.buffer.byteLength).toBeLessThan(2 * 100_000);
});
