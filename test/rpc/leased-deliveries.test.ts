/** Deliveries out of a queue that lends no encoded items, as one of somebody's own or on Ray: by the batch, no larger than a delivery may be. */
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor, SerializationError } from '../../lib';
import type { LeaseBatch, Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { BATCH_BYTES } from '../../lib/transports/rpc/wire/protocol';
import { Impatient } from '../adapter/queues';

registerQueueImplementation('four_methods', Impatient);

let backing: Queue;
let server: QueueServer;
let client: Queue;
/** What the server asked of the queue: how many items at most, and how many it got. */
let asked: { max: number; got: number }[];
let refusing: (batch: LeaseBatch<unknown>) => LeaseBatch<unknown>;

beforeEach(async () => {
  const inner = resolveDescriptor(new QueueDescriptor({ queueId: 'four', queueType: 'four_methods' })) as Queue;
  asked = [];
  refusing = (batch) => batch;
  const leaseMany = async (...given: Parameters<Queue['leaseMany']>): Promise<LeaseBatch<unknown>> => {
    const batch = await inner.leaseMany(...given);
    asked.push({ max: given[0], got: batch.items.length });
    return refusing(batch);
  };
  backing = new Proxy(inner, {
    get: (target, key) => (key === 'leaseMany' ? leaseMany : (Reflect.get(target, key) as unknown)),
  });
  server = new QueueServer({ queues: { work: backing } });
  const { port } = await server.start();
  client = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work')) as Queue;
});

afterEach(async () => {
  await client.close();
  await server.stop({ graceMs: 0 });
  await backing.close();
});

const numbers = Array.from({ length: 2000 }, (_, index) => index);

test('small items come by the batch, in order, each once', async () => {
  await backing.putMany(numbers);
  const got: unknown[] = [];
  while (got.length < numbers.length) got.push(...(await client.getMany(500)));
  expect(got).toEqual(numbers);
  expect(asked.length).toBeLessThan(40);
});

test('what does not fit into a delivery goes back unseen', async () => {
  const large = numbers.slice(0, 40).map((index) => Buffer.alloc(BATCH_BYTES / 2, index));
  await backing.putMany(large);
  const batch = await client.leaseMany(40);
  const { length } = batch.items;
  expect(length).toBeLessThanOrEqual(3);
  await batch.ack();
  const next = await client.leaseMany(1);
  expect(next.leases[0]!.deliveries).toBe(1);
  await next.release();
  const seen = [...batch.items, ...(await client.getMany(40))];
  while (seen.length < large.length) seen.push(...(await client.getMany(40)));
  expect(seen.map((item) => (item as Buffer)[0])).toEqual(numbers.slice(0, 40));
  // It has learned how large they are.
  expect(asked.at(-1)!.max).toBeLessThanOrEqual(4);
});

test('an item that cannot be sent does not hold up those before it, and stays', async () => {
  await backing.putMany([1, 2, () => {}, 4]);
  expect(await client.getMany(10)).toEqual([1, 2]);
  await expect(client.getMany(10)).rejects.toThrow(SerializationError);
  expect(await backing.qsize()).toBe(2);
  expect(await backing.get()).toBeInstanceOf(Function);
  expect(await client.get()).toBe(4);
});

test('leases of one delivery end one by one, and what is released comes again in front', async () => {
  await backing.putMany(numbers.slice(0, 10));
  const batch = await client.leaseMany(10);
  expect(batch.items).toEqual(numbers.slice(0, 10));
  for (const index of [3, 7]) await batch.leases[index]!.ack();
  await batch.release();
  expect(await client.getMany(10)).toEqual([0, 1, 2, 4, 5, 6, 8, 9]);
});

test('a queue that refuses one acknowledgement has the client take none of them as settled', async () => {
  await backing.putMany([1, 2, 3]);
  let refuse = true;
  refusing = (batch) => {
    const leases = batch.leases.map((lease, index) => ({
      ...lease,
      ack: async () => {
        if (!refuse || index !== 1) return lease.ack();
        refuse = false;
        await lease.release();
        throw new Error('refused');
      },
    }));
    return {
      items: batch.items,
      leases,
      ack: () => batch.ack(),
      release: () => batch.release(),
    } as unknown as typeof batch;
  };
  const batch = await client.leaseMany(3);
  await expect(batch.ack()).rejects.toThrow();
  const got: unknown[] = [];
  while (got.length < 3) got.push(...(await client.getMany(3, { timeoutMs: 5000 })));
  expect(got.sort()).toEqual([1, 2, 3]);
  expect(await client.empty()).toBe(true);
});
