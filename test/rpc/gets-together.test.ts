/** Gets that are made in one turn of the loop travel as one: asked for, delivered and confirmed together, and yet each is its own. */
import * as grpc from '@grpc/grpc-js';
import { QueueDescriptor, QueueEmptyError } from '../../lib';
import type { Lease, Queue, WaitOptions } from '../../lib';
import { toNumber } from '../../lib/transports/rpc/wire/protocol';
import { FourOverridden } from '../adapter/queues';
import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/** What is wrong where so many were put and these were got, in no order. */
function problemsOf(put: number, got: readonly number[]): string[] {
  const history = new History();
  history.ack('items', 0, put);
  history.gotEach('-', 'items', got);
  return history.result().problems;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const gets = <T>(queue: Queue<T>, count: number, options?: WaitOptions): Promise<T>[] =>
  range(count).map(() => queue.get(options));

test('each gets the item of its turn, whether the items are there or come later, one by one or many', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  await queue.putMany(range(100));
  expect(await Promise.all(gets(queue, 100))).toEqual(range(100));

  const waiting = Promise.all(gets(queue, 10));
  await until(async () => (await backing.stats()).waitingGetters === 1);
  await backing.put(0);
  await backing.putMany([1, 2, 3]);
  await turn();
  await backing.putMany(range(10).slice(4));
  expect(await waiting).toEqual(range(10));
  await until(async () => (await backing.stats()).getTotal === 110);
});

test('those whose time is over fail, and only they', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  await queue.putMany([0, 1, 2]);
  const mixed = [...gets(queue, 5, { timeoutMs: 100 }), ...gets(queue, 2)];
  const outcomes = Promise.all(mixed.map((got) => got.catch((error: unknown) => (error as Error).constructor)));
  await Promise.allSettled(mixed.slice(0, 5));
  await backing.putMany([3, 4]);
  expect(await outcomes).toEqual([0, 1, 2, QueueEmptyError, QueueEmptyError, 3, 4]);
  const now = await Promise.all(gets(queue, 20, { block: false }).map((got) => errorOf(got)));
  expect(now.every((error) => error instanceof QueueEmptyError)).toBe(true);
});

test.each([[[0]], [[9]], [[3, 4]], [[0, 2, 4, 6, 8]], [range(10)]])(
  'of ten that wait, %j are aborted: the others get what comes, in order',
  async (aborted) => {
    const { port, backing } = await fixture.serve();
    const queue = fixture.client<number>(port);
    const reason = new Error('enough');
    const controllers = range(10).map(() => new AbortController());
    const waiting = controllers.map(({ signal }) => queue.get({ signal }));
    const outcomes = Promise.all(waiting.map((got) => got.catch((error: unknown) => error)));
    await until(async () => (await backing.stats()).waitingGetters === 1);
    for (const index of aborted) controllers[index]!.abort(reason);
    // The server has heard of it once it answers what was asked afterwards.
    await queue.qsize();
    await backing.putMany(range(10));
    const kept = 10 - aborted.length;
    let next = 0;
    expect(await outcomes).toEqual(range(10).map((index) => (aborted.includes(index) ? reason : next++)));
    expect(next).toBe(kept);
    expect(await queue.getMany(20, { block: false }).catch(() => [])).toEqual(range(10).slice(kept));
  },
);

test('what was on its way to gets that gave up goes back in its order', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  await queue.putMany(range(6));
  const controllers = range(6).map(() => new AbortController());
  const waiting = controllers.map(({ signal }) => queue.get({ signal }));
  // The server has lent them in this turn, so that the delivery has not been read.
  while ((await backing.qsize()) > 0) await turn();
  for (const index of [1, 2, 4]) controllers[index]!.abort(new Error('enough'));
  const got = (await Promise.allSettled(waiting)).map((end) => (end.status === 'fulfilled' ? end.value : 'gave up'));
  expect(got).toEqual([0, 'gave up', 'gave up', 3, 'gave up', 5]);
  await until(async () => (await backing.qsize()) === 3);
  expect(await backing.getMany(6)).toEqual([1, 2, 4]);
});

test('aborts at any moment of a group lose nothing and give nothing twice', async () => {
  const next = seeded('gets-together').next;
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  let put = 0;
  const got: number[] = [];
  for (let round = 0; round < 150; round++) {
    const size = 1 + Math.floor(next() * 12);
    const controllers = range(size).map(() => new AbortController());
    const waiting = controllers.map(({ signal }) =>
      queue.get({ signal }).then(
        (item) => void got.push(item),
        () => {},
      ),
    );
    for (let turns = Math.floor(next() * 4); turns > 0; turns--) await turn();
    await backing.putMany(range(size).map(() => put++));
    for (let turns = Math.floor(next() * 10); turns > 0; turns--) await turn();
    for (const controller of controllers) if (next() < 0.5) controller.abort(new Error('enough'));
    await Promise.all(waiting);
  }
  while (got.length < put) got.push(...(await queue.getMany(put, { timeoutMs: 2000 })));
  expect(problemsOf(put, got)).toEqual([]);
  await until(async () => (await backing.qsize()) === 0);
});

test('connections that break at any moment of a group: each item once', async () => {
  const next = seeded('gets-together').next;
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client<number>(port);
  expect(await queue.qsize()).toBe(0);
  let put = 0;
  const got: number[] = [];
  for (let round = 0; round < 40; round++) {
    const size = 1 + Math.floor(next() * 30);
    const waiting = Promise.all(gets(queue, size));
    await backing.putMany(range(size).map(() => put++));
    for (let turns = Math.floor(next() * 20); turns > 0; turns--) await turn();
    proxy.cut();
    got.push(...(await waiting));
  }
  expect(problemsOf(put, got)).toEqual([]);
  expect(await backing.qsize()).toBe(0);
}, 30_000);

test('leases among gets are lent one by one', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client<number>(port);
  await queue.putMany(range(6));
  const calls = [queue.get(), queue.lease(), queue.get(), queue.get(), queue.lease(), queue.get()] as const;
  const [zero, one, two, three, four, five] = await Promise.all(calls);
  expect([zero, one.item, two, three, four.item, five]).toEqual(range(6));
  await four.release();
  await one.release();
  const again = await queue.lease();
  expect([again.item, again.deliveries]).toEqual([1, 2]);
  await again.ack();
  expect(await queue.get()).toBe(4);
});

test('more gets than a server lets wait at a time', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  const total = 20_000;
  const waiting = Promise.all(gets(queue, total));
  await until(async () => (await backing.stats()).waitingGetters === 1);
  await backing.putMany(range(total));
  expect(await waiting).toEqual(range(total));
}, 30_000);

test('on the wire: one request, deliveries that answer several, cancels and failures by number', async () => {
  const { port, backing } = await fixture.serve();
  const { send, frames } = await fixture.stream(port);
  await backing.putMany([Buffer.from('a'), Buffer.from('b')]);
  send({ gets: [{ request: 1, max: 1, count: 5, waitMs: 500 }] });
  await until(() => frames.length === 2);
  const [first] = frames[1]!.deliveries!;
  expect([toNumber(first!.request), first!.items!.count, first!.each]).toEqual([1, 2, true]);
  send({ cancels: [{ get: 4 }], settles: [{ settle: 1, tag: first!.tag, count: 2 }] });
  await until(() => frames.length === 3);
  expect(frames[2]!.settled!.done!.map(toNumber)).toEqual([1]);
  await backing.put(Buffer.from('c'));
  await until(() => frames.length === 4);
  expect(toNumber(frames[3]!.deliveries![0]!.request)).toBe(3);
  await until(() => frames.length === 5);
  expect(frames[4]!.failures!.map(({ request, code }) => [toNumber(request), code])).toEqual([[5, 'ERR_QUEUE_EMPTY']]);
});

test.each([
  ['several that want many each', { request: 1, max: 2, count: 2 }, /one item each/],
  ['more than may wait', { request: 1, max: 1, count: 2 ** 32 - 1 }, /gets wait/],
])('on the wire: %s end the stream', async (_, get, message) => {
  const { port } = await fixture.serve();
  const { send, status } = await fixture.stream(port);
  send({ gets: [get] });
  const { code, details } = await status;
  expect(code).toBe(grpc.status.INVALID_ARGUMENT);
  expect(details).toMatch(message);
});

/** A queue that is not of this process's memory, as far as the server can tell: it lends one item at a time. */
class OneByOne extends FourOverridden<number> {
  constructor() {
    super(new QueueDescriptor({ queueId: 'one-by-one', queueType: 'stub' }));
  }

  override lease(options?: WaitOptions): Promise<Lease<number>> {
    return this.inner.lease(options);
  }
}

test('a queue that takes back what it had lent: the others of the group are not lost with it', async () => {
  /** Item 2 refuses its first acknowledgement and comes again. */
  class Refusing extends OneByOne {
    private refused = false;

    override async lease(options?: WaitOptions): Promise<Lease<number>> {
      const lease = await super.lease(options);
      const { item, deliveries } = lease;
      const release = (): Promise<void> => lease.release();
      const ack = async (): Promise<void> => {
        if (item !== 2 || this.refused) return lease.ack();
        this.refused = true;
        await release();
        throw new Error('taken back');
      };
      return { item, deliveries, ack, release } as Lease<number>;
    }
  }
  const behind = new Refusing();
  const { port } = await fixture.serve({ queues: { q: behind } });
  const queue = fixture.client<number>(port);
  await behind.putMany(range(5));
  const got = await Promise.all(gets(queue, 5));
  expect(got.sort()).toEqual(range(5));
  expect(await behind.qsize()).toBe(0);
});

test('gets that are aborted while the server takes items for the whole group', async () => {
  /** Gives the first item at once, and what is there beside it once it is told to. */
  class Hesitating extends OneByOne {
    asked = false;
    tell = (): void => {};
    hesitates = false;

    override async lease(options?: WaitOptions): Promise<Lease<number>> {
      if (this.hesitates && options?.block === false) {
        this.asked = true;
        await new Promise<void>((resolve) => (this.tell = resolve));
      }
      return super.lease(options);
    }
  }
  const behind = new Hesitating();
  const { port } = await fixture.serve({ queues: { q: behind } });
  const queue = fixture.client<number>(port);
  const other = fixture.client<number>(port);
  await Promise.all([queue.qsize(), other.qsize()]);
  behind.hesitates = true;
  const controller = new AbortController();
  const kept = queue.get();
  const aborted = gets(queue, 2, { signal: controller.signal }).map((got) => errorOf(got));
  await behind.putMany(range(3));
  await until(() => behind.asked);
  controller.abort(new Error('enough'));
  await Promise.all(aborted);
  behind.hesitates = false;
  // What one stream says is heard in order: this put is answered after the aborts were.
  await queue.put(3);
  behind.tell();
  const got = [await kept, ...(await Promise.all(gets(other, 3)))];
  expect(got.sort()).toEqual(range(4));
  expect(await behind.qsize()).toBe(0);
});
