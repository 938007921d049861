import type { NativeEntry } from '../../lib/transports/shm/addon';
import { LargeItems } from '../../lib/transports/shm/large-items';

const MEBIBYTE = 2 ** 20;
/** Huge pages lie `skipped` bytes into the memory that they are asked for. */
const make = (skipped = 0): LargeItems => new LargeItems({ preferHugePages: () => skipped } as unknown as NativeEntry);

test('items that are kept lie side by side, and none over another', () => {
  const items = make(4096);
  const kept = Array.from({ length: 9 }, (_, index) => items.take(MEBIBYTE + 3 * (index % 2), true).fill(index + 1));
  for (const [index, item] of kept.entries()) expect([item[0], item.at(-1)]).toEqual([index + 1, index + 1]);
  expect(kept[0]!.byteOffset).toBe(4096);
  expect(kept[1]!.buffer).toBe(kept[0]!.buffer);
  expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(3);
});

test('an item keeps at most four times its own bytes, and small and huge ones keep nothing else', () => {
  const items = make();
  for (const bytes of [1, 64 * 1024, MEBIBYTE - 1, 4 * MEBIBYTE + 1]) {
    const item = items.take(bytes, true);
    expect([item.length, item.buffer.byteLength]).toEqual([bytes, bytes]);
  }
  expect(items.take(MEBIBYTE, true).length).toBe(MEBIBYTE);
});

test('what is given back is used again, unless something was taken behind it', () => {
  const items = make();
  const first = items.take(100_000, false);
  items.giveBack(first);
  const again = items.take(100_001, false);
  expect([again.buffer === first.buffer, again.byteOffset]).toEqual([true, first.byteOffset]);
  const kept = items.take(MEBIBYTE, true).fill(7);
  items.giveBack(again);
  const behind = items.take(MEBIBYTE, true).fill(8);
  expect([kept[0], kept.at(-1), behind[0], behind.at(-1)]).toEqual([7, 7, 8, 8]);
});

test('what is given back after its chunk was left frees nothing of the next one', () => {
  const items = make();
  const early = items.take(3 * MEBIBYTE, false);
  const kept = items.take(MEBIBYTE, true).fill(1);
  const other = items.take(3 * MEBIBYTE, true).fill(2);
  items.giveBack(early);
  const last = items.take(MEBIBYTE, true).fill(3);
  expect([kept[0], kept.at(-1), other[0], other.at(-1), last[0]]).toEqual([1, 1, 2, 2, 3]);
});
