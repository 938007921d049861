/** A loop over a queue whose items are at hand: past get(), and as if by it. */
import { QueueDescriptor, QueueShutDownError, resolveDescriptor } from '../../lib';
import { takeAtHand } from '../../lib/queue/item-iterator';
import type { NativeQueue, Queue } from '../../lib';

let made = 0;
const name = (): string => `loop.${process.pid}.${made++}`;
const types: Record<string, () => QueueDescriptor> = {
  local: () => QueueDescriptor.createLocalQueue(name(), { maxsize: 3 }),
  shm: () => QueueDescriptor.createShmQueue(undefined, name(), { maxsize: 3 }),
  sage_queue: () => QueueDescriptor.createSageQueue(name(), { maxsize: 3 }),
};
const open = (descriptor: QueueDescriptor): Queue<unknown> => resolveDescriptor(descriptor) as Queue<unknown>;
const item = (value: unknown): IteratorResult<unknown> => ({ done: false, value });
const done = { done: true, value: undefined };

describe.each(Object.entries(types))('%s', (_name, describeOne) => {
  let queue: Queue<unknown>;
  beforeEach(() => {
    queue = open(describeOne());
  });
  afterEach(async () => {
    (queue as Partial<NativeQueue>).unlinkSync?.();
    await queue.close();
  });

  test('what is at hand is taken without a get, and nothing where there is nothing, or a get waits', async () => {
    const take = (): unknown => (queue as Queue<unknown> & { [takeAtHand](): unknown })[takeAtHand]();
    expect(take()).toBeUndefined();
    await queue.put(1);
    expect(take()).toEqual(item(1));
    const waiting = queue.get();
    expect(take()).toBeUndefined();
    await queue.put(2);
    expect(await waiting).toBe(2);
  });

  test('asked several times at once it answers in order, what is at hand and what comes', async () => {
    await queue.putMany([1, Buffer.from('two'), 'x'.repeat(100_000)]);
    const loop = queue[Symbol.asyncIterator]();
    const asked = Array.from({ length: 5 }, () => loop.next());
    await queue.putMany([4, undefined]);
    expect(await Promise.all(asked)).toEqual([1, Buffer.from('two'), 'x'.repeat(100_000), 4, undefined].map(item));
  });

  test('it waits behind a get that was made before it', async () => {
    const got = queue.get();
    const asked = queue[Symbol.asyncIterator]().next();
    const put = queue.putMany([1, 2]);
    const last = queue[Symbol.asyncIterator]().next();
    await put;
    expect(await Promise.all([got, asked])).toEqual([1, item(2)]);
    await queue.put(3);
    expect(await last).toEqual(item(3));
  });

  test('a loop that has left takes nothing, also of what is at hand', async () => {
    await queue.putMany([1, 2]);
    const loop = queue[Symbol.asyncIterator]();
    expect(await loop.next()).toEqual(item(1));
    expect(await loop.return!()).toEqual(done);
    expect(await loop.next()).toEqual(done);
    expect(await queue.get()).toBe(2);
  });

  test('it ends where the queue does, and fails where the handle was closed', async () => {
    await queue.putMany([1, 2]);
    await queue.shutdown();
    const loop = queue[Symbol.asyncIterator]();
    expect([await loop.next(), await loop.next(), await loop.next()]).toEqual([item(1), item(2), done]);
    (queue as Partial<NativeQueue>).unlinkSync?.();
    await queue.close();
    await expect(loop.next()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    queue = open(describeOne());
  });

  test('a handle that was closed takes nothing from those that were not', async () => {
    const other = open(queue.descriptor);
    await other.put(1);
    const loop = other[Symbol.asyncIterator]();
    await other.close();
    await expect(loop.next()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    expect(await queue.get()).toBe(1);
  });

  test('the room it makes is for those who wait for it', async () => {
    await queue.putMany([1, 2, 3]);
    const waiting = queue.put(4);
    const loop = queue[Symbol.asyncIterator]();
    expect(await loop.next()).toEqual(item(1));
    await waiting;
    expect([await loop.next(), await loop.next(), await loop.next()]).toEqual([2, 3, 4].map(item));
  });

  test('a get that a program put in the place of the own one is asked', async () => {
    await queue.put(1);
    queue.get = () => Promise.resolve('of the program');
    expect(await queue[Symbol.asyncIterator]().next()).toEqual(item('of the program'));
    delete (queue as Partial<Queue>).get;
    expect(await queue[Symbol.asyncIterator]().next()).toEqual(item(1));
  });

  test('and one that it put in the place of all queues of the type', async () => {
    await queue.put(1);
    // Where the method is: shm's own class, or the one above.
    let prototype = Object.getPrototypeOf(queue) as object;
    while (!Object.hasOwn(prototype, 'get')) prototype = Object.getPrototypeOf(prototype) as object;
    const get = jest.spyOn(prototype as Queue, 'get');
    expect(await queue[Symbol.asyncIterator]().next()).toEqual(item(1));
    expect(get).toHaveBeenCalledTimes(1);
    get.mockRestore();
  });
});

test('what can be awaited comes as what it stands for, at hand or not, as from get()', async () => {
  const queue = open(QueueDescriptor.createLocalQueue(name()));
  const standsFor = (value: number): PromiseLike<number> => Promise.resolve(value);
  const loop = queue[Symbol.asyncIterator]();
  await queue.putMany([standsFor(1), standsFor(2)]);
  expect([await queue.get(), await loop.next()]).toEqual([1, item(2)]);
  const waiting = loop.next();
  await queue.put(standsFor(3));
  expect(await waiting).toEqual(item(3));
  await queue.close();
});

test('an item that says the end of another queue ends the loop, at hand or not, and many in a row leave the event loop its turns', async () => {
  const queue = open(QueueDescriptor.createLocalQueue(name()));
  const ended = (): PromiseLike<never> => ({
    then: (_resolve, reject) => reject!(new QueueShutDownError('of another')) as PromiseLike<never>,
  });
  const loop = queue[Symbol.asyncIterator]();
  await queue.put(ended());
  expect(await loop.next()).toEqual(done);
  const waiting = loop.next();
  await queue.put(ended());
  expect(await waiting).toEqual(done);

  await queue.putMany(Array.from({ length: 900 }, (_, index) => Promise.resolve(index)));
  let hasTurned = false;
  setImmediate(() => (hasTurned = true));
  for (let index = 0; index < 900; index++) expect(await loop.next()).toEqual(item(index));
  expect(hasTurned).toBe(true);
  await queue.close();
});
