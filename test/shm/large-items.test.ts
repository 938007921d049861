import { attach, describeQueue, types } from './child';

const MEBIBYTE = 2 ** 20;

test.each(types)('%s: large items, raw and encoded, stay as they came while others come', (type) => {
  const queue = attach<unknown>(describeQueue(type, { capacityBytes: 8 * MEBIBYTE }));
  const lengths = [MEBIBYTE, 70_000, 2 * MEBIBYTE + 5, MEBIBYTE + 1, 5 * MEBIBYTE, MEBIBYTE];
  const kept: unknown[] = [];
  for (const [index, length] of lengths.entries()) {
    queue.putSync(Buffer.alloc(length, index + 1));
    kept.push(index % 2 === 0 ? queue.getSync() : queue.getManySync(1)[0]);
    queue.putSync({ text: String(index).repeat(length), bytes: Buffer.alloc(100_000, index) });
    kept.push(queue.getSync());
  }
  for (const [index, length] of lengths.entries()) {
    expect((kept[2 * index] as Buffer).equals(Buffer.alloc(length, index + 1))).toBe(true);
    const { text, bytes } = kept[2 * index + 1] as { text: string; bytes: Buffer };
    expect(text === String(index).repeat(length) && bytes.equals(Buffer.alloc(100_000, index))).toBe(true);
  }
  queue.closeSync();
});
