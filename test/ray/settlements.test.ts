/** Calls to an actor run in any order: what a handle has settled is so for each call that it makes afterwards, whichever comes first. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { until } from '../rpc/support/fixture';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods } from './fake-ray';

let ray: FakeRay;
let methods: Methods;
let queue: Queue<unknown>;

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = (maxsize) => (methods = fakeQueueActor(maxsize));
  queue = resolveDescriptor(QueueDescriptor.createRayQueue('settled', { address: ray.address }));
});
afterEach(async () => {
  await queue.close();
  await ray.stop();
});

/** The next call of that method comes late: once it is let go. Resolves when it is on its way. */
async function overtaken(method: string, call: () => void): Promise<() => void> {
  const known = methods[method]!;
  let letGo!: () => void;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  let isOnItsWay = false;
  methods[method] = async (...request) => {
    methods[method] = known;
    isOnItsWay = true;
    await gate;
    return known(...request);
  };
  call();
  await until(() => isOnItsWay);
  return letGo;
}

test('what is given back is there for the next call', async () => {
  await queue.putMany(['again', 'behind']);
  const lease = await queue.lease();
  let released: Promise<void> | undefined;
  const letGo = await overtaken('sage_state', () => (released = lease.release()));
  const next = await queue.lease({ block: false });
  expect([next.item, next.deliveries]).toEqual(['again', 2]);
  letGo();
  await released;
  await next.ack();
  // The one that came late has given nothing back a second time.
  expect(await queue.getMany(10)).toEqual(['behind']);
});

test('what was taken makes room for the next call', async () => {
  await queue.close();
  queue = resolveDescriptor(QueueDescriptor.createRayQueue('bounded', { address: ray.address, maxsize: 1 }));
  await queue.put('first');
  await queue.get();
  const letGo = await overtaken('sage_take', () => void queue.get({ timeoutMs: 20_000 }).catch(() => {}));
  await queue.put('second', { block: false });
  letGo();
});

test('what was got is gone when the queue is asked, though a call that waits was to say it', async () => {
  await queue.put('got');
  await queue.get();
  let next: Promise<unknown> | undefined;
  const letGo = await overtaken('sage_take', () => (next = queue.get()));
  expect(await queue.stats()).toMatchObject({ leased: 0, getTotal: 1 });
  letGo();
  await queue.put('next');
  expect(await next).toBe('next');
});

test.each(['sage_state', 'sage_take', 'sage_put'])(
  'what a call of an earlier epoch was to settle is settled: %s',
  async (method) => {
    await queue.putMany(['done', 'left']);
    const lease = await queue.lease();
    const known = methods[method]!;
    methods[method] = () => {
      methods[method] = known;
      return ['stale', 0];
    };
    await Promise.all([
      { sage_state: () => queue.qsize(), sage_take: () => queue.get(), sage_put: () => queue.put('more') }[method]!(),
      lease.ack(),
    ]);
    expect(await queue.stats()).toMatchObject({ leased: 0, redelivered: 0 });
  },
);

test('a handle that the queue forgets each time says so', async () => {
  await queue.put('left');
  const known = methods.sage_state!;
  methods.sage_state = () => ['stale', null];
  await expect(queue.qsize()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED', message: /forgot this handle/ });
  methods.sage_state = known;
  expect(await queue.qsize()).toBe(1);
});
