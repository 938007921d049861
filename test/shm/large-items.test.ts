import { ItemTooLargeError } from '../../lib';
import type { NativeQueue } from '../../lib';
import { NativeEntry } from '../../lib/transports/shm/native-entry';
import { attach, attachSage, describeQueue, errorOf, types } from './child';

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

/** What a call ends with while there is no memory for items larger than the receive buffer. */
async function withoutMemory<R>(call: () => R | Promise<R>): Promise<R> {
  const { allocUnsafeSlow, alloc } = Buffer;
  const fails =
    (make: (bytes: number) => Buffer<ArrayBuffer>) =>
    (bytes: number): Buffer<ArrayBuffer> => {
      if (bytes > MEBIBYTE) throw new RangeError('Array buffer allocation failed');
      return make.call(Buffer, bytes);
    };
  const replaced = [
    jest.spyOn(Buffer, 'allocUnsafeSlow').mockImplementation(fails(allocUnsafeSlow)),
    jest.spyOn(Buffer, 'alloc').mockImplementation(fails(alloc)),
  ];
  try {
    return await call();
  } finally {
    for (const one of replaced) one.mockRestore();
  }
}

const LARGE = Buffer.alloc(2 * MEBIBYTE, 7);
const NO_MEMORY = 'RangeError: Array buffer allocation failed';

describe.each(types)('%s: a large item for which there is no memory', (type) => {
  const make = (): [NativeQueue<Buffer>, NativeQueue<Buffer>] => {
    const descriptor = describeQueue(type, { capacityBytes: 8 * MEBIBYTE });
    return [attach<Buffer>(descriptor), attach<Buffer>(descriptor)];
  };

  test.each<[string, (queue: NativeQueue<Buffer>) => unknown]>([
    ['getSync', (queue) => queue.getSync({ block: false })],
    ['get', (queue) => queue.get()],
    ['the iterator', (queue) => queue[Symbol.asyncIterator]().next()],
    ['getManySync', (queue) => queue.getManySync(2, { block: false })],
    ['getMany', (queue) => queue.getMany(2)],
    ['leaseSync', (queue) => queue.leaseSync({ block: false })],
    ['lease', (queue) => queue.lease()],
    ['leaseMany', (queue) => queue.leaseMany(2)],
  ])('goes back, and %s says so', async (name, take) => {
    const [queue, other] = make();
    queue.putManySync([LARGE, Buffer.from('behind')]);
    for (let count = 0; count < 3; count++) expect(String(await withoutMemory(() => errorOf(() => take(queue))))).toBe(NO_MEMORY); // prettier-ignore
    expect(await queue.stats()).toMatchObject({ qsize: 2, leased: 0 });
    const lease = other.leaseSync({ block: false });
    expect([lease.item.equals(LARGE), String(other.getSync())]).toEqual([true, 'behind']);
    if (name.startsWith('lease')) expect(lease.deliveries).toBe(1);
    lease.ackSync();
    await queue.join({ timeoutMs: 5000 });
    queue.closeSync();
    other.closeSync();
  });

  test.each<[string, (queue: NativeQueue<Buffer>) => Buffer[] | Promise<Buffer[]>]>([
    ['getManySync', (queue) => queue.getManySync(9)],
    ['getMany', (queue) => queue.getMany(9)],
    [
      'leaseMany',
      async (queue) => {
        const batch = await queue.leaseMany(9);
        await batch.ack();
        return [...batch.items];
      },
    ],
  ])('goes back behind others, which %s brings', async (_name, take) => {
    const [queue, other] = make();
    queue.putManySync([Buffer.from('before'), LARGE, Buffer.from('behind')]);
    expect((await withoutMemory(() => take(queue))).map(String)).toEqual(['before']);
    expect(other.getManySync(9, { block: false }).map(({ length }) => length)).toEqual([LARGE.length, 6]);
    await queue.join({ timeoutMs: 5000 });
    queue.closeSync();
    other.closeSync();
  });
});

test('room that was claimed, and items in place, go back where a runtime without views has no memory for their bytes', async () => {
  const mapping = jest.spyOn(NativeEntry.prototype, 'mapping').mockReturnValue(undefined);
  const queue = attachSage(describeQueue('sage_queue', { capacityBytes: 4 * MEBIBYTE }));
  const claim = queue.claimSync(1); // which asks for the mapping
  claim.abort();
  expect(String(await withoutMemory(() => errorOf(() => queue.claimSync(LARGE.length))))).toBe(NO_MEMORY);
  expect((await queue.stats()).usedBytes).toBe(0);
  queue.putManySync([Buffer.from('first'), LARGE], { block: false });
  const seen: number[] = [];
  const consume = (): number => queue.consumeSync(({ length }) => seen.push(length));
  expect(String(await withoutMemory(() => errorOf(consume)))).toBe(NO_MEMORY);
  expect([seen, queue.qsizeSync()]).toEqual([[5], 1]);
  expect([consume(), seen]).toEqual([1, [5, LARGE.length]]);
  mapping.mockRestore();
  queue.closeSync();
});
