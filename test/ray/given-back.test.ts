/** Items that a handle has of somebody else's actor: given back, they are there for whoever waits; closed, they are in the actor, or it is said. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue, WaitOptions } from '../../lib';
import { consume, type DeadLetter } from '../../lib/work';
import { until } from '../rpc/support/fixture';
import { FakeRay, Raised } from './fake-ray';

/** That of a get in the actor, which waits for so long before it says that there is nothing. */
const WAITS_MS = 500;

let ray: FakeRay;
let queue: Queue<string>;
let inner: unknown[];
let gets: number;

/** The actor is asked for it, and has nothing. */
async function waitingGet(options?: WaitOptions): Promise<{ got: Promise<string> }> {
  const before = gets;
  const got = queue.get(options);
  got.catch(() => {});
  await until(() => gets > before);
  return { got };
}

/** `ray.util.queue.Queue`, as Python makes it: an asynchronous actor. */
function open(maxsize = 0): void {
  inner = [];
  gets = 0;
  const methods = {
    put: [true, ['item', 'timeout']],
    get: [true, ['timeout']],
    ...Object.fromEntries(['empty', 'qsize', 'full', 'get_nowait'].map((name) => [name, [false, []]])),
    put_nowait: [false, ['item']],
  };
  const questions: unknown[] = [methods, maxsize];
  const put = ([item]: readonly unknown[]): null => {
    if (maxsize > 0 && inner.length >= maxsize) throw new Raised('asyncio.queues', 'QueueFull');
    inner.push(item);
    return null;
  };
  ray.actors.set('jobs', {
    __ray_call__: () => questions.shift(),
    qsize: () => inner.length,
    empty: () => inner.length === 0,
    put,
    put_nowait: put,
    get_nowait: () => {
      if (inner.length === 0) throw new Raised('asyncio.queues', 'QueueEmpty');
      return inner.shift();
    },
    get: async () => {
      gets++;
      const latest = performance.now() + WAITS_MS;
      while (inner.length === 0 && performance.now() < latest) await new Promise((resolve) => setTimeout(resolve, 5));
      if (inner.length === 0) throw new Raised('ray.util.queue', 'Empty');
      return inner.shift();
    },
  });
  queue = resolveDescriptor(QueueDescriptor.createRayActorQueue('jobs', 'jobs', { address: ray.address }));
}

beforeEach(async () => {
  ray = await new FakeRay().start();
});
afterEach(async () => {
  await queue.close();
  await ray.stop();
});

test('what is released is there for the gets that wait, in order', async () => {
  open();
  await queue.putMany(['first', 'second', 'third']);
  const batch = await queue.leaseMany(3);
  const { got } = await waitingGet();
  const next = queue.getMany(5);
  await batch.release();
  expect(await Promise.all([got, next])).toEqual(['first', ['second', 'third']]);
  // What the actor still answers the first of them is the next one's.
  await queue.put('fourth');
  expect(await queue.get()).toBe('fourth');
});

test('a get that comes while the actor is still asked for one that has been served is served at once', async () => {
  open();
  await queue.putMany(['first', 'second']);
  const [first, second] = [await queue.lease(), await queue.lease()];
  const { got } = await waitingGet();
  await first.release();
  expect(await got).toBe('first');
  await second.release();
  const began = performance.now();
  expect(await queue.get()).toBe('second');
  expect(performance.now() - began).toBeLessThan(WAITS_MS / 2);
});

test('a get that leaves takes nothing of what comes back', async () => {
  open();
  await queue.put('only');
  const lease = await queue.lease();
  const leaving = new AbortController();
  const { got } = await waitingGet({ signal: leaving.signal });
  leaving.abort(new Error('left'));
  const next = queue.get();
  await lease.release();
  await expect(got).rejects.toThrow('left');
  expect(await next).toBe('only');
});

test('what fails is tried again, as often as asked', async () => {
  open();
  await queue.put('fails');
  const deadLetter = resolveDescriptor<DeadLetter<string>>(
    QueueDescriptor.createLocalQueue('given-back-dead'),
  ) as Queue<DeadLetter<string>>;
  const consumer = consume(
    queue,
    () => {
      throw new Error('no');
    },
    {
      concurrency: 2,
      maxDeliveries: 3,
      deadLetter,
      backoffMs: () => 1,
      onError: () => {},
    },
  );
  await until(() => consumer.stats().dead === 1);
  expect(await deadLetter.get()).toMatchObject({ item: 'fails', deliveries: 3 });
  expect(consumer.stats().failed).toBe(3);
  await consumer.stop();
  await deadLetter.close();
});

describe('a handle that closes while its actor is full', () => {
  beforeEach(async () => {
    open(1);
    await queue.put('leased');
    await queue.lease();
    await queue.put('second');
  });

  test('puts back what it had on lease once there is room', async () => {
    const closed = queue.close();
    await until(() => (ray.calls.get('put_nowait') ?? 0) > 3);
    expect(inner).toEqual(['second']);
    inner.shift();
    await closed;
    expect(inner).toEqual(['leased']);
  });

  test('says so where there is none', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await queue.close();
    expect(warned).toHaveBeenCalledWith("An item of the actor 'jobs' could not be put back: its queue is full");
    warned.mockRestore();
  });
});
