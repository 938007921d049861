import type { Addon } from '../../lib/transports/shm/addon';

const MEBIBYTE = 1024 * 1024;
const keepFreedMemory = jest.fn();
jest.mock('../../lib/transports/shm/addon', () => ({ loadAddon: () => ({ keepFreedMemory }) as unknown as Addon }));
import { itemMemory } from '../../lib/transports/shm/item-memory';

test('malloc is told once to keep what is freed, when as much was had as a collection gives back', () => {
  for (let index = 0; index < 31; index++) expect(itemMemory(MEBIBYTE).length).toBe(MEBIBYTE);
  itemMemory(MEBIBYTE - 1);
  expect(keepFreedMemory).not.toHaveBeenCalled();
  itemMemory(1);
  expect(keepFreedMemory).toHaveBeenCalledTimes(1);
  itemMemory(64 * MEBIBYTE);
  itemMemory(1);
  expect(keepFreedMemory).toHaveBeenCalledTimes(1);
});

test('each has memory of its own', () => {
  const [one, other] = [itemMemory(10), itemMemory(10)];
  expect(one.buffer).not.toBe(other.buffer);
  expect(one.buffer.byteLength).toBe(10);
});
