/** What a batch is made of must not matter: small items travel packed, large ones and refused ones as they are. */
import { ItemTooLargeError, SerializationError } from '../../lib';
import { seeded } from '../random';
import { attach, describeQueue, types } from './child';

function caught(action: () => unknown): Error & { accepted?: number } {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** Quicker to compare than a buffer is. */
function text(item: unknown): unknown {
  if (Buffer.isBuffer(item)) return item.toString('latin1');
  const { index, bytes } = item as { index: number; bytes: Buffer };
  return [index, bytes.toString('latin1')];
}

describe.each(types)('%s', (type) => {
  test('items small and large, bytes and objects, in one batch keep order and bytes', async () => {
    const { below } = seeded('batches of all sizes');
    const queue = attach(describeQueue(type, { maxsize: 500, capacityBytes: 4 * 1024 * 1024 }));
    const one = (index: number): unknown => {
      const bytes = Buffer.alloc([0, 1, 64, 1023, 1024, 1025, 5000][below(7)]!, index);
      return below(3) === 0 ? { index, bytes } : bytes;
    };
    for (let round = 0; round < 20; round++) {
      const items = Array.from({ length: 1 + below(400) }, (_, index) => one(index));
      const accepted = round % 2 === 0 ? queue.putManySync(items) : await queue.putMany(items);
      expect(accepted).toBe(items.length);
      expect(queue.getManySync(items.length + 1).map(text)).toEqual(items.map(text));
    }
    queue.closeSync();
  });

  test('a full queue takes the front of a batch, and the rest when there is room', async () => {
    const queue = attach(describeQueue(type, { maxsize: 10 }));
    const items = Array.from({ length: 25 }, (_, index) => Buffer.from([index]));
    expect(caught(() => queue.putManySync(items, { timeoutMs: 0 })).accepted).toBe(10);
    const rest = queue.putMany(items.slice(10));
    const got: number[] = [];
    while (got.length < 25) got.push(...(await queue.getMany(7)).map((bytes) => (bytes as Buffer)[0]!));
    expect(await rest).toBe(15);
    expect(got).toEqual(items.map((bytes) => bytes[0]));
    queue.closeSync();
  });

  test('a getter that puts a batch while one is being encoded disturbs neither', () => {
    const queue = attach(describeQueue(type));
    const other = attach(describeQueue(type));
    const meddler = {
      get value(): string {
        other.putManySync(['x', 'y', 'z'].map((letter) => Buffer.from(letter.repeat(100))));
        queue.putManySync([Buffer.from('in between')]);
        return 'meddled';
      },
    };
    queue.putManySync([Buffer.from('before'), meddler, Buffer.from('after')]);
    const got = queue.getManySync(9).map((item) => (Buffer.isBuffer(item) ? item.toString() : item));
    expect(got).toEqual(['in between', 'before', { value: 'meddled' }, 'after']);
    expect(other.getManySync(9).map(String)).toEqual(['x', 'y', 'z'].map((letter) => letter.repeat(100)));
    queue.closeSync();
    other.closeSync();
  });

  test('what stands before an item that is refused goes in, and the error says how many', async () => {
    const queue = attach(describeQueue(type, { capacityBytes: 4096 }));
    const large = caught(() => queue.putManySync([Buffer.from('a'), Buffer.alloc(5000), Buffer.from('b')]));
    expect(large).toBeInstanceOf(ItemTooLargeError);
    expect(large.message).toContain('5000 bytes');
    expect(large.accepted).toBe(1);
    const odd = await queue.putMany(['b', () => 0, 'c']).catch((error: Error & { accepted?: number }) => error);
    expect(odd).toBeInstanceOf(SerializationError);
    expect((odd as { accepted?: number }).accepted).toBe(1);
    expect(queue.getManySync(9).map(String)).toEqual(['a', 'b']);
    queue.closeSync();
  });

  test('any iterable is a batch for putMany, a string too; putManySync takes arrays only', async () => {
    const queue = attach(describeQueue(type));
    expect(await queue.putMany('ab')).toBe(2);
    expect(queue.getManySync(9)).toEqual(['a', 'b']);
    for (const items of [new Set([1]), 'ab', 5, {}, undefined])
      expect(caught(() => queue.putManySync(items as unknown[]))).toMatchObject({ name: 'TypeError' });
    for (const items of [5, {}, undefined, null])
      await expect(queue.putMany(items as unknown as unknown[])).rejects.toMatchObject({ name: 'TypeError' });
    expect(queue.qsizeSync()).toBe(0);
    queue.closeSync();
  });

  test('an abort ends a long batch that finds room all the way', async () => {
    const queue = attach(describeQueue(type, { maxsize: 100_000 }));
    const controller = new AbortController();
    const reason = new Error('enough');
    setImmediate(() => controller.abort(reason));
    const outcome = queue.putMany(Array<number>(100_000).fill(1), { signal: controller.signal });
    const error = (await outcome.catch((thrown: unknown) => thrown)) as Error & { accepted: number };
    expect(error).toBe(reason);
    expect(error.accepted).toBe(queue.qsizeSync());
    expect(error.accepted).toBeLessThan(100_000);
    queue.unlinkSync();
    queue.closeSync();
  });

  test('bytes whose memory was transferred away are refused, not sent as none', async () => {
    const queue = attach(describeQueue(type));
    const gone = Buffer.from(new ArrayBuffer(8));
    structuredClone(gone.buffer, { transfer: [gone.buffer as ArrayBuffer] });
    expect(caught(() => queue.putSync(gone))).toBeInstanceOf(SerializationError);
    await expect(queue.put(gone)).rejects.toThrow(SerializationError);
    expect(caught(() => queue.putManySync([Buffer.alloc(0), gone]))).toMatchObject({ accepted: 1 });
    await expect(queue.putMany([Buffer.alloc(0), gone])).rejects.toMatchObject({ accepted: 1 });
    await expect(queue.put({ gone })).rejects.toThrow(SerializationError);
    expect(queue.getManySync(9)).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
    queue.closeSync();
  });

  test('an item of more bytes than a tiny queue has is refused by its size', () => {
    const queue = attach(describeQueue(type, { maxsize: 2, capacityBytes: 64 }));
    const refused = caught(() => queue.putManySync([Buffer.alloc(5000)]));
    expect(refused).toBeInstanceOf(ItemTooLargeError);
    expect(refused.message).toContain('5000 bytes');
    queue.closeSync();
  });
});
