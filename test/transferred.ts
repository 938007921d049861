/** Items of `bytes` each, some of which are transferred to another thread: nobody who holds another one may notice. */
import type { Queue } from '../lib';

const COUNT = 12;

const WAYS: Record<string, (queue: Queue<Buffer>) => Promise<readonly Buffer[]>> = {
  get: async (queue) => {
    const items: Buffer[] = [];
    while (items.length < COUNT) items.push(await queue.get());
    return items;
  },
  loop: async (queue) => {
    const items: Buffer[] = [];
    for await (const item of queue) if (items.push(item) === COUNT) break;
    return items;
  },
  getMany: (queue) => queue.getMany(COUNT),
  lease: async (queue) => {
    const items: Buffer[] = [];
    while (items.length < COUNT) {
      const { item, ack } = await queue.lease();
      items.push(item);
      await ack();
    }
    return items;
  },
  leaseMany: async (queue) => {
    const batch = await queue.leaseMany(COUNT);
    await batch.ack();
    return batch.items;
  },
};
export const ways = Object.keys(WAYS);

/** A transfer of memory that stays where it is may be refused, or be a copy. */
export function transfer(memory: ArrayBuffer): void {
  try {
    structuredClone(memory, { transfer: [memory] });
  } catch (error) {
    expect((error as Error).name).toBe('DataCloneError');
  }
}

export async function expectOthersKept(queue: Queue<Buffer>, way: string, bytes: number): Promise<void> {
  const expected = (index: number): Buffer => Buffer.alloc(bytes, index + 1);
  await queue.putMany(Array.from({ length: COUNT }, (_, index) => expected(index)));
  const items = await WAYS[way]!(queue);
  expect(items).toHaveLength(COUNT);
  transfer(items[2]!.buffer as ArrayBuffer);
  transfer(items[7]!.buffer as ArrayBuffer);
  for (const [index, item] of items.entries())
    if (index !== 2 && index !== 7) expect(item.equals(expected(index))).toBe(true);
  await queue.put(expected(0));
  expect((await queue.get()).equals(expected(0))).toBe(true);
}
