/** join() on a Ray queue: exactly at the end of work, whoever finishes it, and however many wait. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { until } from '../work/queues';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay } from './fake-ray';

let ray: FakeRay;
const open: Queue<unknown>[] = [];
/** Calls of sage_join that the actor has in hand. */
let [underWay, most] = [0, 0];

beforeEach(async () => {
  ray = await new FakeRay().start();
  [underWay, most] = [0, 0];
  ray.create = (maxsize) => {
    const methods = fakeQueueActor(maxsize);
    const { sage_join: join } = methods;
    methods.sage_join = async (args, kwargs) => {
      most = Math.max(most, ++underWay);
      try {
        return await join!(args, kwargs);
      } finally {
        underWay--;
      }
    };
    return methods;
  };
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((queue) => queue.close()));
  await ray.stop();
});

function handle(): Queue<unknown> {
  const queue = resolveDescriptor(QueueDescriptor.createRayQueue('jobs', { address: ray.address }));
  open.push(queue);
  return queue;
}

test('a thousand joins share what the actor can run at once, and end with the last item', async () => {
  const [queue, holder, other] = [handle(), handle(), handle()];
  await queue.put('last');
  await holder.lease();
  let ended = 0;
  const joins: Promise<void>[] = [];
  while (joins.length < 1000) {
    joins.push(queue.join().then(() => void ended++));
    await Promise.resolve();
    if (joins.length % 100 === 0) await queue.qsize();
  }
  await until('one call waits for all', () => underWay === 1);
  const calls = ray.calls.get('sage_join')!;
  // The holder leaves the item to another one.
  await holder.close();
  const lease = await other.lease();
  expect([ended, ray.calls.get('sage_join')]).toEqual([0, calls]);
  await lease.ack();
  await Promise.all(joins);
  expect(most).toBeLessThanOrEqual(2);
});

test('one whose time is over, one that is aborted and one that does not wait leave the others waiting', async () => {
  const queue = handle();
  await queue.put('item');
  let ended = false;
  const join = queue.join().then(() => (ended = true));
  const leaving = new AbortController();
  const aborted = queue.join({ signal: leaving.signal }).catch((error: unknown) => error);
  for (const timeoutMs of [0, 20])
    await expect(queue.join({ timeoutMs })).rejects.toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
  leaving.abort('enough');
  expect(await aborted).toBe('enough');
  expect(ended).toBe(false);
  expect(await queue.get()).toBe('item');
  await join;
});

test('close ends those that wait, and leaves no call with the actor', async () => {
  const [queue, other] = [handle(), handle()];
  await other.put('item');
  const join = queue.join().catch((error: unknown) => error);
  await until('it waits', () => underWay === 1);
  await queue.close();
  expect(await join).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  await until('the actor has let go of it', () => underWay === 0);
});
