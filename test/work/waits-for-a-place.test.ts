/** What a consumer holds and has not begun with, for want of a place, and what it has begun with, when its handle is closed or its process dies. */
import { QueueClosedError, QueueDescriptor } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import { MortalStore } from '../simulation/mortal-store';
import { track, until } from './queues';

let count = 0;

/** A consumer with one place, which a handler has that ends in no other way than by its signal, beside an item that came before. */
async function busyConsumer() {
  const descriptor = QueueDescriptor.createLocalQueue(`places-${count++}`);
  const store = new MortalStore(0);
  const keeper = new StubQueue<string>(descriptor, undefined, store);
  await keeper.putMany(['runs', 'waits']);
  for (const lease of (await keeper.leaseMany(2)).leases) await lease.release();
  const queue = new StubQueue<string>(descriptor, undefined, store);
  const told: unknown[] = [];
  const begun: string[] = [];
  const handler = ([item]: string[], { signal }: { signal: AbortSignal }): Promise<void> => {
    begun.push(item!);
    return new Promise(() => signal.addEventListener('abort', () => told.push(signal.reason)));
  };
  const consumer = track(consume<string>(queue, handler, { batch: 2, backoffMs: () => 0, onError() {} }));
  consumer.done.catch(() => {});
  await until('it is busy', () => begun.length > 0 && store.onLease === 2);
  return { store, keeper, queue, told, begun, consumer };
}

async function whatComesAgain(
  keeper: StubQueue<string>,
): Promise<Record<string, { deliveries: number; crashes: number }>> {
  const { leases } = await keeper.leaseMany(2);
  return Object.fromEntries(leases.map(({ item, deliveries, crashes }) => [item, { deliveries, crashes }]));
}

test('a handler is told when the handle of its consumer is closed, also while no place is free', async () => {
  const { queue, told, begun, consumer } = await busyConsumer();
  await queue.close();
  await expect(consumer.done).rejects.toThrow(QueueClosedError);
  expect(told).toEqual([expect.any(QueueClosedError)]);
  expect(begun).toEqual(['runs']);
  expect(consumer.stats().active).toBe(0);
});

test('a handler of a consumer that is being stopped is told so, too, and the stop is over', async () => {
  const { queue, told, consumer } = await busyConsumer();
  const stopping = consumer.stop({ graceMs: 60_000 });
  await queue.close();
  await stopping;
  expect(told).toEqual([expect.any(QueueClosedError)]);
  await expect(consumer.done).resolves.toBeUndefined();
});

test('an item that waits for a place has no attempt counted when the handle is closed', async () => {
  const { queue, keeper } = await busyConsumer();
  await queue.close();
  expect(await whatComesAgain(keeper)).toMatchObject({ runs: { deliveries: 3 }, waits: { deliveries: 2 } });
});

test('an item that waits for a place is not blamed for a death', async () => {
  const { store, queue, keeper } = await busyConsumer();
  store.isDeath = true;
  await queue.close();
  expect(await whatComesAgain(keeper)).toEqual({
    runs: { deliveries: 3, crashes: 1 },
    waits: { deliveries: 2, crashes: 0 },
  });
});
