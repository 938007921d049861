/** Items go through the server as the bytes they are: it decodes them only for those who take them out of its own memory. */
import { QueueDescriptor, registerCodec, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import { ItemBatchBuilder } from '../../lib/transports/rpc/wire/item-batch-builder';

const opened: { close(): Promise<void> }[] = [];
const servers: QueueServer[] = [];

afterEach(async () => {
  for (const queue of opened.splice(0)) await queue.close();
  for (const server of servers.splice(0)) await server.stop();
});

let count = 0;
async function behind(type: 'local' | 'sage_queue'): Promise<{ inside: Queue; outside: (codec?: string) => Queue }> {
  const id = `through-${process.pid}-${count++}`;
  const descriptor =
    type === 'local' ? QueueDescriptor.createLocalQueue(id) : QueueDescriptor.createSageQueue(id, { maxsize: 4096 });
  const inside = resolveDescriptor(descriptor);
  const server = new QueueServer({ queues: { [id]: inside } });
  servers.push(server);
  opened.push(inside);
  const { port } = await server.start();
  const outside = (codec?: string): Queue => {
    const queue = resolveDescriptor(
      QueueDescriptor.createRpcQueue('127.0.0.1', port, id, codec === undefined ? {} : { codec }),
    );
    opened.unshift(queue);
    return queue;
  };
  return { inside, outside };
}

const mixed = (): unknown[] => [
  Buffer.from('bytes'),
  { a: [1, 2.5, null], b: new Map([[1, 'one']]) },
  'text',
  Buffer.alloc(0),
  Buffer.alloc(100_000, 7),
  42,
];

describe.each(['local', 'sage_queue'] as const)('with %s behind the server', (type) => {
  test('items of all kinds and lengths come out as they went in, at either end', async () => {
    const { inside, outside } = await behind(type);
    const remote = outside();
    await remote.putMany(mixed());
    expect(await remote.getMany(6)).toEqual(mixed());
    await remote.putMany(mixed());
    expect(await inside.getMany(6)).toEqual(mixed());
    await remote.putMany(mixed());
    for (const item of mixed()) expect(await inside.get()).toEqual(item);
    await inside.putMany(mixed());
    for (const item of mixed()) expect(await remote.get()).toEqual(item);
    await remote.put({ lone: true });
    const lease = await inside.lease();
    expect(lease.item).toEqual({ lone: true });
    await lease.release();
    expect(await remote.get()).toEqual({ lone: true });
  });

  test('a part of a delivery that is given back comes again in its order', async () => {
    const { outside } = await behind(type);
    const first = outside();
    const all = Array.from({ length: 300 }, (_, index) => index);
    await first.putMany(all);
    const leases = [await first.lease(), await first.lease(), await first.lease()];
    await leases[1]!.ack();
    await leases[2]!.release();
    await leases[0]!.release();
    expect(await outside().getMany(1000)).toEqual(all.filter((item) => item !== 1));
  });

  test('an item that the server has no codec for reaches a client that has it', async () => {
    const decode = jest.fn((bytes: Uint8Array) => Buffer.from(bytes).toString());
    registerCodec({ name: 'shout', id: 77, encode: (value) => Buffer.from(String(value).toUpperCase()), decode });
    const { outside } = await behind(type);
    const remote = outside('shout');
    await remote.putMany(['one', 'two']);
    expect(await remote.getMany(2)).toEqual(['ONE', 'TWO']);
    // Once for each, by the client: the server has not looked inside.
    expect(decode).toHaveBeenCalledTimes(2);
  });
});

test('what cannot be decoded is reported to the one who takes it, alone', async () => {
  const { inside, outside } = await behind('local');
  const broken = (text: string): string => text;
  registerCodec({
    name: 'brittle',
    id: 78,
    encode: (value) => Buffer.from(broken(value as string)),
    decode: (bytes) => {
      if (bytes.length === 3) throw new Error('three bytes');
      return Buffer.from(bytes).toString();
    },
  });
  await outside('brittle').putMany(['good', 'bad', 'fine']);
  expect(await inside.getMany(3)).toEqual(['good']);
  await expect(inside.getMany(3)).rejects.toMatchObject({
    code: 'ERR_ITEM_SERIALIZATION',
    codecId: 78,
    bytes: Buffer.from('bad'),
  });
  expect(await inside.getMany(3)).toEqual(['fine']);
});

describe('columns', () => {
  const items = [Buffer.from('a'), Buffer.from('bc'), Buffer.alloc(0), Buffer.from('def')];
  const read = (batch: ItemBatch): string[] =>
    Array.from({ length: batch.count }, (_, index) => `${batch.codec(index)}:${batch.bytes(index).toString()}`);

  test('a part is a view, travels as such, and may be joined to others', () => {
    const builder = new ItemBatchBuilder(1);
    const codecs = [1, 2, 1, 3];
    items.forEach((item, index) => builder.add(item, codecs[index]!));
    const batch = builder.take();
    expect(read(batch)).toEqual(['1:a', '2:bc', '1:', '3:def']);
    const part = batch.slice(1, 4).slice(1);
    expect(read(part)).toEqual(['1:', '3:def']);
    expect(read(ItemBatch.fromWire(part.toWire()))).toEqual(read(part));
    expect(read(part.detached())).toEqual(read(part));
    expect(read(ItemBatch.join([part, batch.slice(0, 1), part]))).toEqual(['1:', '3:def', '1:a', '1:', '3:def']);
    for (const text of ['xy', 'zw']) builder.add(Buffer.from(text), 1);
    const even = builder.take();
    expect(even.toWire()).toMatchObject({ count: 2, lengths: [2], codec: [] });
    expect(read(ItemBatch.fromWire(ItemBatch.join([even, even.slice(1)]).toWire()))).toEqual(['1:xy', '1:zw', '1:zw']);
  });

  test.each([
    ['lengths that exceed the bytes', { data: Buffer.alloc(4), count: 2, lengths: [2, 3], codec: [] }],
    ['lengths that fall short', { data: Buffer.alloc(4), count: 2, lengths: [2, 1], codec: [] }],
    ['one length that does not divide the bytes', { data: Buffer.alloc(4), count: 3, lengths: [1], codec: [] }],
    ['bytes without a count', { data: Buffer.alloc(4), count: 0, lengths: [], codec: [] }],
    ['several items without lengths', { data: Buffer.alloc(0), count: 2, lengths: [], codec: [] }],
    ['fewer lengths than items', { data: Buffer.alloc(4), count: 3, lengths: [2, 2], codec: [] }],
    ['fewer codecs than items', { data: Buffer.alloc(6), count: 3, lengths: [2], codec: [1, 1] }],
    ['codec 0', { data: Buffer.alloc(2), count: 1, lengths: [], codec: [0] }],
    ['codec 256', { data: Buffer.alloc(2), count: 1, lengths: [], codec: [256] }],
    ['billions of empty items', { data: Buffer.alloc(0), count: 4e9, lengths: [0], codec: [] }],
  ])('%s are refused', (_, items) => {
    expect(() => ItemBatch.fromWire(items)).toThrow(RangeError);
  });
});
