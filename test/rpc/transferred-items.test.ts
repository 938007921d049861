import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { expectOthersKept, transfer, ways } from '../transferred';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const CASES = ways.flatMap((way) => [10, 1000, 5000].map((bytes) => [way, bytes] as const));

test.each(CASES)(
  'an item of %s that is transferred to another thread empties no other, of %d bytes',
  async (way, bytes) => {
    const { port } = await fixture.serve();
    await expectOthersKept(fixture.client<Buffer>(port), way, bytes);
  },
);

test('nor does a part of a value that codec v8 left where it lay', async () => {
  const { port } = await fixture.serve();
  const descriptor = QueueDescriptor.createRpcQueue('127.0.0.1', port, 'q', { codec: 'v8' });
  const queue = resolveDescriptor<Uint8Array>(descriptor) as Queue<Uint8Array>;
  fixture.later(() => queue.close());
  const expected = Array.from({ length: 12 }, (_, index) => new Uint8Array(1024).fill(index + 1));
  await queue.putMany(expected);
  const items = await queue.getMany(12);
  transfer(items[2]!.buffer as ArrayBuffer);
  items.splice(2, 1);
  expected.splice(2, 1);
  expect(items).toEqual(expected);
});
