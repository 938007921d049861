/** Items of a schema that this process does not know: others do, so they stay in their queue, as if nobody had come by. */
import * as sage from '../../lib';
import { consume } from '../../lib/work';
import { SealedItem } from '../../lib/codec/encoded-item';
import type { EncodedLender } from '../../lib/queue/encoded-source';
import { QueueServer } from '../../lib/rpc';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import { attach, describeQueue, errorOf, freshName, run, types } from './child';

/** As a server puts it for a client that has the schema. */
const foreign = (bytes = 9): SealedItem => {
  const data = Buffer.alloc(bytes);
  data.writeUInt32LE(0x09090909);
  return new SealedItem(ItemBatch.single({ codecId: 5, bytes: data }), 0);
};

const told = {
  code: 'ERR_ITEM_SERIALIZATION',
  message: expect.stringMatching(
    /^The item cannot be decoded: its schema \(id 09090909\) is not known here.*It is still in the queue\.$/,
  ),
};

type Calls = Record<string, (queue: sage.SageQueue<unknown>) => unknown>;
const awaited: Calls = {
  get: (queue) => queue.get(),
  getMany: (queue) => queue.getMany(9),
  lease: (queue) => queue.lease(),
  leaseMany: (queue) => queue.leaseMany(9),
  iteration: async (queue) => {
    for await (const item of queue) return item;
  },
  readable: async (queue) => {
    for await (const item of queue.readable()) return item;
  },
  consume: (queue) => consume(queue, () => {}).done,
};
const synchronous: Calls = {
  getSync: (queue) => queue.getSync(),
  'getSync that waits': (queue) => queue.getSync({ timeoutMs: 1000 }),
  getManySync: (queue) => queue.getManySync(9),
  leaseSync: (queue) => queue.leaseSync(),
};

const makers: [string, Calls, () => sage.SageQueue<unknown>][] = [
  ...types.map((type): [string, Calls, () => sage.SageQueue<unknown>] => [
    type,
    { ...awaited, ...synchronous },
    () => attach<unknown>(describeQueue(type)) as sage.SageQueue<unknown>,
  ]),
  ['local', awaited, () => sage.getLocalQueue(freshName()) as unknown as sage.SageQueue<unknown>],
];

describe.each(makers)('%s', (_type, calls, make) => {
  test.each(Object.keys(calls))('%s says so again and again, and takes nothing', async (call) => {
    for (const bytes of [9, 100_000]) {
      const queue = make();
      await queue.put(foreign(bytes));
      await queue.put('behind');
      for (let round = 0; round < 3; round++) expect(await errorOf(() => calls[call]!(queue))).toMatchObject(told);
      expect(await errorOf(() => queue.get())).not.toHaveProperty('bytes', expect.anything());
      expect(await queue.qsize()).toBe(2);
      expect((await queue.stats()).leased).toBe(0);
      // Whoever has the schema comes to it as the first.
      const { leases } = await lent(queue);
      expect(leases.map(({ deliveries }) => deliveries)).toEqual([1, 1]);
      queue.unlinkSync?.();
      await queue.close();
    }
  });

  test('what lies in front of it is taken, and it stays', async () => {
    const queue = make();
    for (const take of [() => queue.getMany(9), async () => (await queue.leaseMany(9)).items]) {
      for (const item of ['front', foreign(), 'behind']) await queue.put(item);
      expect(await take()).toEqual(['front']);
      expect(await errorOf(take)).toMatchObject(told);
      const { leases, codecs } = await lent(queue);
      expect(codecs).toEqual([5, 2]);
      expect(leases.map(({ deliveries }) => deliveries)).toEqual([1, 1]);
    }
    queue.unlinkSync?.();
    await queue.close();
  });
});

/** All that is there as it lies; it is gone then. */
async function lent(
  queue: sage.SageQueue<unknown>,
): Promise<{ leases: readonly { deliveries: number }[]; codecs: number[] }> {
  const { run, items } = await (queue as unknown as EncodedLender).leaseEncoded(9, 1e9);
  const leases = Array.from({ length: run.count }, (_, index) => ({ deliveries: run.held.deliveries(index) }));
  await run.end(0, run.count, true);
  const codecs =
    'data' in items ? [...items.codecs] : items.map((item) => ('codec' in item ? item.codec : item.codecId));
  return { leases, codecs };
}

test('a queue with a schema takes no encoded item of another, or of none', async () => {
  const queue = sage.getSageQueue<unknown>(freshName(), { schema: { id: 'u32' } as never });
  expect(await errorOf(() => queue.putSync(foreign()))).toMatchObject({
    message: expect.stringContaining('by another schema'),
  });
  const server = new QueueServer({ queues: { queue } });
  const { port } = await server.start();
  const without = sage.getRpcQueue<unknown>('127.0.0.1', port, 'queue');
  expect(await errorOf(() => without.put({ id: 1 }))).toMatchObject({
    message: expect.stringContaining('without a schema'),
  });
  expect(await errorOf(() => without.putMany([{ id: 1 }, { id: 2 }]))).toMatchObject({ accepted: 0 });
  const other = sage.getRpcQueue('127.0.0.1', port, 'queue', { schema: { name: 'string' } });
  expect(await errorOf(() => other.put({ name: 'x' }))).toMatchObject({
    message: expect.stringContaining('by another schema'),
  });
  expect(queue.qsizeSync()).toBe(0);
  const more = sage.getRpcQueue('127.0.0.1', port, 'queue', { schema: { id: 'u32', 'note?': 'string' } });
  await more.put({ id: 1, note: 'x' });
  expect(queue.qsizeSync()).toBe(1);
  for (const one of [without, other, more]) await one.close();
  await server.stop();
  queue.unlinkSync();
  await queue.close();
});

test.each(types)('%s: items of a schema pass through a server that does not know it', async (type) => {
  const descriptor = describeQueue(type);
  const queue = attach<unknown>(descriptor);
  const server = new QueueServer({ queues: { queue } });
  const { port } = await server.start();
  const remote = sage.QueueDescriptor.createRpcQueue('127.0.0.1', port, 'queue', { schema: { [type]: 'string' } });
  const program = `
    const queue = open();
    (async () => {
      await queue.putMany([{ ${type}: 'a' }, { ${type}: 'b' }]);
      say(await queue.getMany(1));
      await queue.close();
    })();`;
  expect(await run(program, remote)).toEqual([[{ [type]: 'a' }]]);
  expect(await errorOf(() => queue.get())).toMatchObject({ message: expect.stringContaining('still in the queue') });
  expect(queue.qsizeSync()).toBe(1);
  expect(
    await run('const queue = open(); queue.get().then((item) => { say(item); return queue.close(); });', remote),
  ).toEqual([{ [type]: 'b' }]);
  await server.stop();
  queue.unlinkSync();
  queue.closeSync();
});

test('an item of bytes that no schema has is removed, as any that cannot be decoded', async () => {
  const queue = sage.getSageQueue<unknown>(freshName());
  const short = new SealedItem(ItemBatch.single({ codecId: 5, bytes: Buffer.alloc(3) }), 0);
  queue.putManySync([short, 'behind']);
  expect(await errorOf(() => queue.getSync())).toMatchObject({ codecId: 5, bytes: Buffer.alloc(3) });
  expect(queue.getSync()).toBe('behind');
  queue.unlinkSync();
  queue.closeSync();
});
