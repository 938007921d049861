/** Waiting calls are served in the order in which they were made, whatever each of them asks for, with items in their order. */
import type { Queue } from '../../lib';
import { until } from '../rpc/support/fixture';
import { adapter, adapterLater, local, sageQueue, shm, startRpcOver, stub } from '../model/types';
import type { MadeQueue, QueueType } from '../model/types';

const rpc = (over: 'local' | 'sage_queue') => (): Promise<QueueType> => startRpcOver(over);
const types: Record<string, () => Promise<QueueType>> = {
  ...Object.fromEntries(
    [local, stub, adapter, adapterLater, shm, sageQueue].map((type) => [type.name, () => Promise.resolve(type)]),
  ),
  'rpc over local': rpc('local'),
  'rpc over sage_queue': rpc('sage_queue'),
};

const forms: Record<string, (items: number[]) => Iterable<number> | AsyncIterable<number>> = {
  'an array': (items) => items,
  'an iterable': (items) => new Set(items),
  'a source': async function* (items) {
    yield* items;
  },
};

/** Each takes items into the list, the first one of those that wait. */
const takes: Record<string, (queue: Queue<number>) => Promise<number[]>> = {
  getMany: (queue) => queue.getMany(2),
  leaseMany: async (queue) => {
    const batch = await queue.leaseMany(2);
    await batch.ack();
    return [...batch.items];
  },
  lease: async (queue) => {
    const lease = await queue.lease();
    await lease.ack();
    return [lease.item];
  },
  get: async (queue) => [await queue.get()],
  iteration: async (queue) => [(await queue[Symbol.asyncIterator]().next()).value as number],
};

describe.each(Object.entries(types))('%s', (_name, start) => {
  let type: QueueType;
  let made: MadeQueue;
  let queue: Queue<number>;
  /** Another handle, where there can be one: what it takes and puts is nobody's place in line. */
  let other: Queue<number>;
  beforeAll(async () => {
    type = await start();
  });
  afterAll(() => type.end());
  beforeEach(async () => {
    made = type.make(1);
    queue = made.open();
    other = type.shared ? made.open() : queue;
    await queue.qsize();
  });
  afterEach(async () => {
    await queue.close();
    await other.close();
    await made.end();
  });

  const drain = async (count: number): Promise<number[]> => {
    const items: number[] = [];
    while (items.length < count) items.push(await other.get({ timeoutMs: 10_000 }));
    return items;
  };

  test.each(Object.entries(forms))('putMany of %s between puts', async (_form, form) => {
    await queue.put(0);
    const putting = [queue.put(1), queue.putMany(form([2, 3, 4])), queue.put(5), queue.putMany(form([6, 7]))];
    expect(await drain(8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await Promise.all(putting)).toEqual([undefined, 3, undefined, 2]);
  });

  test.each(Object.entries(forms))('a put behind a putMany of %s that has room', async (_form, form) => {
    const roomy = type.make(0);
    const handle = roomy.open();
    await handle.qsize();
    const many = Array.from({ length: 700 }, (_, item) => item);
    const putting = [handle.putMany(form(many)), handle.put(700), handle.putMany([701, 702]), handle.put(703)];
    const items: number[] = [];
    while (items.length < 704) items.push(...(await handle.getMany(5000, { timeoutMs: 10_000 })));
    expect(items).toEqual([...many, 700, 701, 702, 703]);
    expect(await Promise.all(putting)).toEqual([700, undefined, 2, undefined]);
    await handle.close();
    await roomy.end();
  });

  test.each(Object.entries(takes))(
    'a get made when the item has come stands behind the %s that waits',
    async (_what, take) => {
      const first = take(queue);
      if (type.shared) await until(async () => (await other.stats()).waitingGetters! > 0);
      await other.put(0, { timeoutMs: 10_000 });
      const second = take(queue);
      const third = queue.get();
      await other.putMany([1, 2], { timeoutMs: 10_000 });
      expect([await first, await second, await third]).toEqual([[0], [1], 2]);
    },
  );

  test.each(Object.entries(takes))('%s before a get, and behind one', async (_what, take) => {
    const taken: number[][] = [];
    const noting = (call: Promise<number[]>): Promise<unknown> => call.then((items) => taken.push(items));
    const taking = [take(queue), queue.get().then((item) => [item]), take(queue), queue.get().then((item) => [item])].map(noting); // prettier-ignore
    for (let item = 0; item < 4; item++) {
      await other.put(item, { timeoutMs: 10_000 });
      await until(() => taken.length > item);
    }
    await Promise.all(taking);
    expect(taken).toEqual([[0], [1], [2], [3]]);
  });

  test.each(Object.entries(takes))(
    '%s of what comes together leaves the rest to the get behind it',
    async (what, take) => {
      const roomy = type.make(0);
      const handle = roomy.open();
      await handle.qsize();
      const [first, second] = [take(handle), handle.get()];
      expect(await handle.putMany([0, 1, 2])).toBe(3);
      const items = await first;
      // As many as were there when its turn came; those behind it get what comes next.
      expect(items).toEqual([0, 1].slice(0, items.length));
      expect(items.length).toBeLessThanOrEqual(what.endsWith('Many') ? 2 : 1);
      expect(await second).toBe(items.length);
      for (let rest = items.length + 1; rest < 3; rest++) expect(await handle.get()).toBe(rest);
      await handle.close();
      await roomy.end();
    },
  );

  test('what a closed handle had on lease goes to those who wait in the order it had', async () => {
    if (!type.shared) return;
    const roomy = type.make(0);
    const [holder, waiter] = [roomy.open(), roomy.open()];
    await holder.putMany([0, 1, 2, 3]);
    for (let held = 0; held < 2; held++) await holder.lease();
    await holder.leaseMany(2);
    const got: number[] = [];
    const getting = Array.from({ length: 4 }, async () => got.push(await waiter.get()));
    await until(async () => (await waiter.stats()).waitingGetters! > 0);
    await holder.close();
    await Promise.all(getting);
    expect(got).toEqual([0, 1, 2, 3]);
    await waiter.close();
    await roomy.end();
  });
});
