/** Calls to an actor run in any order: what a handle has settled is so for each call that it makes afterwards, whichever comes first. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Lease, Queue, WaitOptions } from '../../lib';
import { RayActorDiedError } from '../../lib/ray';
import type { PyList } from '../../lib/transports/ray/pickle/types';
import { until } from '../rpc/support/fixture';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods, Raised } from './fake-ray';

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
  await queue.putMany(['first', 'second', 'behind']);
  const leases = [await queue.lease(), await queue.lease()];
  const released: Promise<void>[] = [];
  const late: (() => void)[] = [];
  for (const lease of leases) late.push(await overtaken('sage_state', () => released.push(lease.release())));
  const next = await queue.leaseMany(2, { block: false });
  expect(next.leases.map(({ item, deliveries }) => [item, deliveries])).toEqual([
    ['first', 2],
    ['second', 2],
  ]);
  for (const letGo of late) letGo();
  await Promise.all(released);
  await next.ack();
  // Those that came late have given nothing back a second time.
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

/** Answers the next call of that method in the actor's stead. */
function instead(method: string, answer: Methods[string]): void {
  const known = methods[method]!;
  methods[method] = (...request) => {
    methods[method] = known;
    return answer(...request);
  };
}

const fails = (): never => {
  throw new Raised('builtins', 'RuntimeError', 'not now');
};

test.each<[string, () => Promise<unknown>]>([
  ['sage_state', () => queue.qsize()],
  ['sage_take', () => queue.get()],
  ['sage_put', () => queue.put('more')],
  ['sage_join', () => queue.join({ timeoutMs: 0 }).catch(() => {})],
])('what a call of an earlier epoch was to settle is settled: %s', async (method, call) => {
  await queue.putMany(['done', 'left']);
  await queue.get();
  const [known, greet] = [methods[method]!, methods.sage_hello!];
  methods[method] = () => ['stale', 0];
  methods.sage_hello = (...request) => {
    Object.assign(methods, { [method]: known, sage_hello: greet });
    return greet(...request);
  };
  await call();
  expect(await queue.stats()).toMatchObject({ leased: 0, redelivered: 0 });
});

test('what one call was answered for, no other takes along', async () => {
  await queue.put('done');
  await queue.get();
  const settled: unknown[] = [];
  const known = methods.sage_state!;
  methods.sage_state = (...request) => {
    settled.push(((request[0][0] as PyList).items[2] as PyList).items.map((ids) => (ids as PyList).items.length));
    return known(...request);
  };
  await queue.stats();
  await queue.stats();
  expect(settled).toEqual([
    [1, 0, 0],
    [0, 0, 0],
  ]);
});

test('what a call brings whose epoch is over has gone back: nobody gets it twice', async () => {
  const other = resolveDescriptor(QueueDescriptor.createRayQueue('settled', { address: ray.address }));
  await queue.put('once');
  let answer!: (taken: unknown) => void;
  const known = methods.sage_take!;
  const taken = new Promise<unknown>((resolve) => {
    instead('sage_take', async (...request) => {
      resolve(await known(...request));
      return new Promise((late) => (answer = late));
    });
  });
  const got = queue.get();
  const late = await taken;
  instead('sage_state', fails);
  await expect(queue.qsize()).rejects.toThrow('not now');
  // Introduces itself anew, and does not know of what is on its way.
  await queue.qsize();
  expect(await other.get()).toBe('once');
  answer(late);
  await other.put('twice');
  expect(await got).toBe('twice');
  await other.close();
});

test('what was to be settled by a call that an actor of an earlier version answers in vain is settled', async () => {
  await queue.put('done');
  await queue.get();
  let asked: Promise<unknown> | undefined;
  instead('sage_state', () => ({ qsize: -1 }));
  const answered = await overtaken('sage_state', () => (asked = queue.qsize()));
  instead('sage_put', fails);
  await expect(queue.put('refused')).rejects.toThrow('not now');
  // Of the next epoch, and in vain as well.
  let put: Promise<unknown> | undefined;
  instead('sage_put', fails);
  const failed = await overtaken('sage_put', () => (put = queue.put('refused').catch((error: unknown) => error)));
  answered();
  expect(await asked).toBe(0);
  failed();
  expect(await put).toBeInstanceOf(Error);
  expect(await queue.stats()).toMatchObject({ leased: 0, getTotal: 1, redelivered: 0 });
});

test('calls of one epoch that fail begin one other together', async () => {
  await queue.qsize();
  const hellos = ray.calls.get('sage_hello')!;
  let put: Promise<unknown> | undefined;
  instead('sage_put', fails);
  const letGo = await overtaken('sage_put', () => (put = queue.put('refused').catch((error: unknown) => error)));
  instead('sage_state', fails);
  await expect(queue.qsize()).rejects.toThrow('not now');
  await queue.qsize();
  letGo();
  expect(await put).toBeInstanceOf(Error);
  await queue.qsize();
  expect(ray.calls.get('sage_hello')).toBe(hellos + 1);
});

test('an acknowledgement that fails is told again, though the program asks nothing more', async () => {
  const metadata = { address: ray.address, lease_ms: 90 };
  const descriptor = new QueueDescriptor({ queueId: 'short', queueType: 'ray_queue', metadata });
  const short = resolveDescriptor<string>(descriptor) as Queue<string>;
  await short.put('done');
  await short.get();
  const isAsked = new Promise<void>((resolve) => {
    instead('sage_state', fails);
    instead('sage_hello', () => {
      resolve();
      return fails();
    });
  });
  await isAsked;
  const other = resolveDescriptor(descriptor) as Queue<string>;
  await until(async () => (await other.stats()).getTotal === 1);
  await Promise.all([short.close(), other.close()]);
});

describe('a call that failed while a get waits', () => {
  let other: Queue<unknown>;
  beforeEach(async () => {
    other = resolveDescriptor(QueueDescriptor.createRayQueue('settled', { address: ray.address }));
    await other.put('first');
    await queue.get();
  });
  afterEach(() => other.close());

  /** Takes along what is to be settled, and waits. */
  async function waitingGet(options?: WaitOptions): Promise<Promise<unknown>[]> {
    const got = queue.get(options).catch((error: unknown) => error);
    await until(async () => (await other.stats()).waitingGetters === 1);
    instead('sage_state', fails);
    await expect(queue.qsize()).rejects.toThrow('not now');
    return [got];
  }

  test('delays no acknowledgement until what failed is told again', async () => {
    const [got] = await waitingGet();
    await other.put('second');
    expect(await got).toBe('second');
    const began = performance.now();
    await until(async () => (await other.stats()).getTotal === 2);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test('does not keep it from being called off', async () => {
    const began = performance.now();
    const [got] = await waitingGet({ timeoutMs: 300 });
    expect(await got).toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
    expect(performance.now() - began).toBeLessThan(2500);
  });
});

describe('a handle that closes', () => {
  let other: Queue<unknown>;
  beforeEach(async () => {
    other = resolveDescriptor(QueueDescriptor.createRayQueue('settled', { address: ray.address }));
    await other.put('done');
  });
  afterEach(() => other.close());

  test('tells what it has settled', async () => {
    await queue.get();
    await queue.close();
    expect(await other.stats()).toMatchObject({ leased: 0, getTotal: 1 });
  });

  test('tells it after a call that failed, too', async () => {
    const lease = await queue.lease();
    instead('sage_state', fails);
    await expect(lease.ack()).rejects.toThrow('not now');
    await queue.close();
    expect(await other.stats()).toMatchObject({ leased: 0, getTotal: 1 });
  });

  test('tells it after an ack that is on its way, which resolves', async () => {
    const lease = await queue.lease();
    let acked: Promise<void> | undefined;
    const letGo = await overtaken('sage_state', () => (acked = lease.ack()));
    const closed = queue.close();
    // It would have come first by now.
    await new Promise((resolve) => setTimeout(resolve, 30));
    letGo();
    await acked;
    await closed;
    expect(await other.stats()).toMatchObject({ leased: 0, getTotal: 1 });
  });

  test('is known to nobody afterwards, also when an answer says that it was not known', async () => {
    await queue.qsize();
    const calls: string[] = [];
    for (const name of ['sage_hello', 'sage_bye']) {
      const known = methods[name]!;
      methods[name] = (...request) => {
        calls.push(name);
        return known(...request);
      };
    }
    let asked: Promise<unknown> | undefined;
    instead('sage_state', () => ['stale', null]);
    const letGo = await overtaken('sage_state', () => (asked = queue.qsize().catch((error: unknown) => error)));
    const closed = queue.close();
    letGo();
    expect(await asked).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    await closed;
    expect(calls.at(-1)).toBe('sage_bye');
  });
});

describe('a handle whose actor died with its head, where another one has the name', () => {
  let lease: Lease<unknown>;
  let other: Queue<unknown>;
  let theirs: Lease<unknown>;
  beforeEach(async () => {
    await queue.put('before');
    lease = await queue.lease();
    await ray.stop();
    await ray.start();
    other = resolveDescriptor(QueueDescriptor.createRayQueue('settled', { address: ray.address, namespace: 'other' }));
    await other.put('after');
    theirs = await other.lease();
  });
  afterEach(() => other.close());

  test('acknowledges nothing there', async () => {
    await expect(queue.qsize()).rejects.toThrow(RayActorDiedError);
    await expect(lease.ack()).rejects.toThrow(RayActorDiedError);
    expect(await other.stats()).toMatchObject({ leased: 1, qsize: 0, getTotal: 0 });
    await theirs.release();
    expect(await other.qsize()).toBe(1);
  });

  test('gives nothing back there when it closes', async () => {
    await queue.close();
    expect(await other.stats()).toMatchObject({ leased: 1, qsize: 0, redelivered: 0 });
    await theirs.ack();
  });
});

test('a handle that the queue forgets each time says so', async () => {
  await queue.put('left');
  const known = methods.sage_state!;
  methods.sage_state = () => ['stale', null];
  await expect(queue.qsize()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED', message: /forgets this handle/ });
  methods.sage_state = known;
  expect(await queue.qsize()).toBe(1);
});
