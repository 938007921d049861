import { registerCodec, SerializationError } from '../../lib';
import { attach, describeQueue, errorOf, types } from './child';

/** Decodes nothing; what it wrote is where the others' items end. */
registerCodec({
  name: 'one-way',
  id: 77,
  encode: (value) => Buffer.from(String(value)),
  decode: () => {
    throw new Error('one way only');
  },
});

describe.each(types)('%s', (type) => {
  test.each([10, 100_000])('an item (%i bytes) that cannot be decoded is removed and reported alone', async (bytes) => {
    const descriptor = describeQueue(type);
    const queue = attach<unknown>(descriptor);
    const oneWay = attach<unknown>(describeQueue(type, { codec: 'one-way' }, String(descriptor.metadata.shm_name ?? descriptor.queueId))); // prettier-ignore
    const fill = (): void => {
      queue.putManySync([1, 2]);
      oneWay.putSync('x'.repeat(bytes));
      queue.putManySync([3, 4]);
    };
    const seen = async (call: () => unknown): Promise<unknown> => {
      try {
        return await call();
      } catch (error) {
        const { bytes: left, codecId } = error as SerializationError & { bytes: Buffer; codecId: number };
        return [(error as SerializationError).code, left.length, codecId];
      }
    };
    const refused = ['ERR_ITEM_SERIALIZATION', bytes, 77];
    const batches: (() => unknown)[] = [() => queue.getMany(9), () => queue.getManySync(9)];
    for (const batch of batches) {
      fill();
      expect([await seen(batch), await seen(batch), await seen(batch)]).toEqual([[1, 2], refused, [3, 4]]);
    }
    const loop = queue[Symbol.asyncIterator]();
    const singles: (() => unknown)[] = [
      () => queue.get(),
      () => queue.getSync(),
      async () => (await loop.next()).value as unknown,
    ];
    for (const single of singles) {
      fill();
      const found = [];
      for (let count = 0; count < 5; count++) found.push(await seen(single));
      expect(found).toEqual([1, 2, refused, 3, 4]);
    }
    fill();
    expect(queue.getManySync(2)).toEqual([1, 2]);
    expect(await seen(() => queue.leaseSync())).toEqual(refused);
    expect(queue.getManySync(2)).toEqual([3, 4]);
    expect(await queue.stats()).toMatchObject({ qsize: 0, usedBytes: 0 });
    oneWay.closeSync();
    queue.closeSync();
  });

  test('what a batch took before the queue turned out to be shut down is not lost', async () => {
    const queue = attach<number>(describeQueue(type));
    queue.putManySync([1, 2]);
    await queue.shutdown();
    expect(queue.getManySync(9)).toEqual([1, 2]);
    expect((await errorOf(() => queue.getManySync(9))).code).toBe('ERR_QUEUE_SHUT_DOWN');
    queue.closeSync();
  });
});
