import {
  closeAllQueues,
  ConfigMismatchError,
  getLocalQueue,
  QueueDescriptor,
  QueueExistsError,
  QueueNotFoundError,
  QueueShutDownError,
  resolveDescriptor,
} from '../../lib/index';

const local = (queueId: string, maxsize?: number): QueueDescriptor =>
  QueueDescriptor.createLocalQueue(queueId, { maxsize });

test('two descriptors of one id resolve to one queue', async () => {
  const [one, two] = [resolveDescriptor(local('shared')), resolveDescriptor(JSON.stringify(local('shared')))];
  await one.put('hello');
  expect(await two.get()).toBe('hello');
  await Promise.all([one.close(), two.close()]);
});

test('items go through by reference, functions included', async () => {
  const queue = getLocalQueue('reference');
  const item = { run: () => 1 };
  await queue.put(item);
  expect(await queue.get()).toBe(item);
  await queue.close();
});

test('the queue outlives its handles while it has items, and not longer', async () => {
  const first = getLocalQueue('kept');
  await first.put('kept');
  await first.close();
  const second = getLocalQueue('kept');
  expect(await second.get()).toBe('kept');
  await second.close();
  expect(() => resolveDescriptor(local('kept'), { create: 'never' })).toThrow(QueueNotFoundError);
});

test('create modes', async () => {
  expect(() => resolveDescriptor(local('modes'), { create: 'never' })).toThrow(QueueNotFoundError);
  const queue = resolveDescriptor(local('modes'), { create: 'exclusive' });
  expect(() => resolveDescriptor(local('modes'), { create: 'exclusive' })).toThrow(QueueExistsError);
  await resolveDescriptor(local('modes'), { create: 'never' }).close();
  await queue.close();
});

test('another maxsize is a mismatch; none takes the queue as it is', async () => {
  const queue = resolveDescriptor(local('config', 2));
  expect(() => resolveDescriptor(local('config', 3))).toThrow(ConfigMismatchError);
  const same = resolveDescriptor(local('config'));
  expect((await same.stats()).maxsize).toBe(2);
  await same.putMany([1, 2]);
  expect(await same.full()).toBe(true);
  await same.getMany(2);
  await Promise.all([queue.close(), same.close()]);
});

test('open leases go back when their handle closes, in their order, ahead of the rest', async () => {
  const [borrower, other] = [getLocalQueue('leases'), getLocalQueue('leases')];
  await other.putMany(['a', 'b', 'c']);
  await borrower.lease();
  await borrower.lease();
  await borrower.close();
  const again = await other.lease();
  expect([again.item, again.deliveries]).toEqual(['a', 2]);
  await again.ack();
  expect(await other.getMany(5)).toEqual(['b', 'c']);
  expect((await other.stats()).redelivered).toBe(2);
  await other.close();
});

test('a queue that was shut down and drained starts anew once nobody is attached', async () => {
  const queue = getLocalQueue('anew');
  await queue.shutdown();
  await expect(getLocalQueue('anew').put(1)).rejects.toThrow(QueueShutDownError);
  await queue.close();
  await closeAllQueues();
  const next = getLocalQueue('anew');
  await next.put(1);
  expect(await next.get()).toBe(1);
  await next.close();
});

test('a million numbered items arrive complete and in order', async () => {
  const [producer, consumer] = [getLocalQueue<number>('million', { maxsize: 1000 }), getLocalQueue<number>('million')];
  const count = 1_000_000;
  const putting = producer.putMany(Array.from({ length: count }, (_, i) => i));
  let expected = 0;
  while (expected < count) {
    for (const item of await consumer.getMany(1000))
      if (item !== expected++) throw new Error(`found ${item}, expected ${expected - 1}`);
  }
  expect(await putting).toBe(count);
  await Promise.all([producer.close(), consumer.close()]);
});
