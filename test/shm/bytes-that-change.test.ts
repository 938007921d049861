import { registerCodec } from '../../lib';
import type { NativeQueue } from '../../lib';
import { NativeEntry } from '../../lib/transports/shm/native-entry';
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

registerCodec({
  name: 'one-buffer',
  id: 78,
  encode: (value) => reused.fill(value as number),
  decode: (bytes) => bytes[bytes.length - 1],
});
const reused = Buffer.alloc(3000);

describe.each(types)('%s: bytes of a batch that the code of a later item changes arrive as they were put', (type) => {
  const bytes = (length: number): Buffer => Buffer.from(new Uint8Array(length).fill(7).buffer);
  const later = (run: () => void): object => ({
    get x() {
      run();
      return 1;
    },
    y: 'z'.repeat(3000),
  });

  test.each<[string, (queue: NativeQueue, items: unknown[]) => unknown]>([
    ['putManySync', (queue, items) => queue.putManySync(items)],
    ['putMany', (queue, items) => queue.putMany(items)],
    ['putMany of an iterable', (queue, items) => queue.putMany(new Set(items))],
  ])('%s', async (_name, putAll) => {
    const queue = attach(describeQueue(type));
    for (const length of [100, 4000]) {
      for (const meddle of [
        (item: Buffer) => void item.fill(1),
        (item: Buffer) => void structuredClone(item.buffer, { transfer: [item.buffer as ArrayBuffer] }),
      ]) {
        const [first, second] = [bytes(length), bytes(4000)];
        await putAll(queue, [
          first,
          'between',
          second,
          later(() => [first, second].forEach(meddle)),
          bytes(2000),
          'end',
        ]);
        const items = queue.getManySync(9) as [Buffer, string, Buffer, object, Buffer, string];
        expect(items.map((item) => (Buffer.isBuffer(item) ? item.equals(bytes(item.length)) && item.length : item))).toEqual([length, 'between', 4000, { x: 1, y: 'z'.repeat(3000) }, 2000, 'end']); // prettier-ignore
      }
    }
    queue.closeSync();
    const coded = attach<number>(describeQueue(type, { codec: 'one-buffer' }));
    await putAll(coded, [1, 2, 3]);
    expect(coded.getManySync(9)).toEqual([1, 2, 3]);
    coded.closeSync();
  });

  test('an array of bytes alone goes in as before, in one batch', () => {
    const queue = attach(describeQueue(type));
    const puts = jest.spyOn(NativeEntry.prototype, 'putMany');
    queue.putManySync(Array.from({ length: 64 }, () => bytes(2000)));
    expect(puts).toHaveBeenCalledTimes(1);
    queue.putManySync(Array.from({ length: 64 }, () => 'z'.repeat(3000)));
    expect(puts).toHaveBeenCalledTimes(2);
    puts.mockRestore();
    expect(queue.getManySync(200)).toHaveLength(128);
    queue.closeSync();
  });
});
