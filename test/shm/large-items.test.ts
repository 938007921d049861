import { ItemTooLargeError } from '../../lib';
import { attach, describeQueue, types } from './child';

const MEBIBYTE = 2 ** 20;
/** The system gives no memory for it before somebody reads or writes it. */
const huge = new Uint8Array(2 ** 32);

test.each(types)('%s: the memory of a large item is its own, and may be transferred away', (type) => {
  const queue = attach<Buffer>(describeQueue(type, { capacityBytes: 8 * MEBIBYTE }));
  const lengths = [MEBIBYTE, 70_000, MEBIBYTE + 1, 2 * MEBIBYTE];
  const lend = (): Buffer => {
    const { item, ackSync } = queue.leaseSync();
    ackSync();
    return item;
  };
  const take = [() => queue.getSync(), () => queue.getManySync(1)[0]!, lend];
  const kept = lengths.flatMap((length, index) => {
    queue.putManySync(take.map(() => Buffer.alloc(length, index + 1)));
    return take.map((one) => one());
  });
  const [first, ...others] = kept;
  const gone = first!.buffer as ArrayBuffer;
  expect(structuredClone(gone, { transfer: [gone] }).byteLength).toBe(MEBIBYTE);
  expect(first!.length).toBe(0);
  for (const [index, item] of others.entries()) {
    const number = Math.floor((index + 1) / take.length);
    expect(item.equals(Buffer.alloc(lengths[number]!, number + 1))).toBe(true);
  }
  queue.putSync(Buffer.alloc(MEBIBYTE, 9));
  expect(queue.getSync().equals(Buffer.alloc(MEBIBYTE, 9))).toBe(true);
  queue.closeSync();
});

describe.each(types)('%s: more bytes than 32 bits count', (type) => {
  test.each([
    ['bytes', huge],
    ['an object', { huge }],
  ])('are refused at once, by every way in: %s', async (_, item) => {
    const queue = attach<unknown>(describeQueue(type));
    expect(() => queue.putSync(item)).toThrow(ItemTooLargeError);
    expect(() => queue.putManySync([item])).toThrow(ItemTooLargeError);
    await expect(queue.put(item)).rejects.toThrow(ItemTooLargeError);
    await expect(queue.putMany([item])).rejects.toThrow(ItemTooLargeError);
    await expect(queue.putMany(new Set([item]))).rejects.toThrow(ItemTooLargeError);
    expect(queue.qsizeSync()).toBe(0);
    await queue.close();
  });

  test('are not copied to wait behind others', async () => {
    const queue = attach<unknown>(describeQueue(type, { maxsize: 1 }));
    queue.putSync('first');
    const second = queue.put('second');
    const { maxRSS } = process.resourceUsage();
    await expect(queue.put(huge)).rejects.toThrow(ItemTooLargeError);
    const batch = queue.putMany(['third', huge]);
    const outcome = expect(batch).rejects.toMatchObject({ code: 'ERR_ITEM_TOO_LARGE', accepted: 1 });
    expect([queue.getSync(), await second, await queue.get(), await queue.get()]).toEqual([
      'first',
      undefined,
      'second',
      'third',
    ]);
    await outcome;
    expect(process.resourceUsage().maxRSS - maxRSS).toBeLessThan(MEBIBYTE); // KiB
    await queue.close();
  });
});
