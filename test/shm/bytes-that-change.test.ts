import { attach, describeQueue, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('bytes that wait for room arrive as they were put, whatever their owner does meanwhile', async () => {
    const queue = attach<Buffer | string>(describeQueue(type, { maxsize: 1 }));
    const bytes = (): Buffer => Buffer.from(new Uint8Array(Buffer.from('right')).buffer);
    for (const put of [
      (item: Buffer) => queue.put(item),
      (item: Buffer) => queue.putMany([item]),
      (item: Buffer) => queue.putMany(new Set([item])),
    ]) {
      for (const meddle of [
        (item: Buffer) => void item.fill('W'),
        (item: Buffer) => void structuredClone(item.buffer, { transfer: [item.buffer as ArrayBuffer] }),
      ]) {
        queue.putSync('first');
        const item = bytes();
        const waiting = put(item);
        await until('it waits', async () => (await queue.stats()).waitingPutters === 1);
        meddle(item);
        expect(queue.getSync()).toBe('first');
        await waiting;
        expect(String(queue.getSync())).toBe('right');
      }
    }
    queue.closeSync();
  });

  test('an array whose class says something else of its length arrives as the bytes that it has', async () => {
    const queue = attach<Uint8Array | string>(describeQueue(type, { maxsize: 4 }));
    const lying = (real: number, said: number): Uint8Array => {
      class Lying extends Uint8Array {
        override get length(): number {
          return said;
        }
      }
      return Object.setPrototypeOf(new Uint8Array(real).fill(7), Lying.prototype) as Uint8Array;
    };
    for (const [real, said] of [
      [5, 25],
      [20, 3],
      [1000, 100],
      [3, 0],
      [5, 0.5],
    ] as const) {
      const waits = async (put: () => Promise<unknown>): Promise<void> => {
        queue.putManySync(['a', 'b', 'c', 'd']);
        const waiting = put();
        expect(queue.getManySync(4)).toEqual(['a', 'b', 'c', 'd']);
        await waiting;
      };
      queue.putSync('what came before, of more than twenty-five bytes');
      queue.getSync();
      for (const put of [
        () => queue.putSync(lying(real, said)),
        () => queue.put(lying(real, said)),
        () => void queue.putManySync([lying(real, said)]),
        () => waits(() => queue.put(lying(real, said))),
        () => waits(() => queue.putMany([lying(real, said)])),
        () => waits(() => queue.putMany(new Set([lying(real, said)]))),
      ]) {
        await put();
        expect(Buffer.from(queue.getSync() as Uint8Array).equals(Buffer.alloc(real, 7))).toBe(true);
      }
    }
    queue.unlinkSync();
    queue.closeSync();
    const schema = { own: 'bytes', any: 'any' } as const;
    const typed = attach<{ own: Uint8Array; any: Uint8Array }>(describeQueue(type, { schema }));
    typed.putSync({ own: lying(5, 25), any: lying(20, 3) });
    const { own, any } = typed.getSync();
    expect([own, any].map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(['07'.repeat(5), '07'.repeat(20)]);
    typed.unlinkSync();
    typed.closeSync();
  });
});
