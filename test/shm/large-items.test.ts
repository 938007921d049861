import { attach, describeQueue, types } from './child';

const MEBIBYTE = 2 ** 20;

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
