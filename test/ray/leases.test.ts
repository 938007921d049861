/** Leases of a Ray queue end once; what is on lease when its handle closes goes back, and an ack that comes after that says so. */
import { QueueClosedError, QueueDescriptor, QueueEmptyError, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { endLeases } from '../../lib/queue/lease-batch';
import { RayActorDiedError } from '../../lib/ray';
import type { PyList, PyObject } from '../../lib/transports/ray/pickle/types';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods, Raised } from './fake-ray';

let ray: FakeRay;
const open: Queue<unknown>[] = [];

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((queue) => queue.close()));
  await ray.stop();
});

function handle(descriptor: QueueDescriptor): Queue<unknown> {
  const queue = resolveDescriptor(descriptor, { answerTimeoutMs: 400 });
  open.push(queue);
  return queue;
}

/** An actor of somebody else's with the methods of a queue that never waits. */
function foreignActor(items: unknown[]): Methods {
  const methods: Methods = {
    put: ([item]: readonly unknown[]) => void items.push(item),
    put_nowait: ([item]: readonly unknown[]) => void items.push(item),
    get: () => items.shift(),
    get_nowait: () => {
      if (items.length === 0) throw new Raised('queue', 'Empty', '');
      return items.shift();
    },
    empty: () => items.length === 0,
    qsize: () => items.length,
  };
  const signatures = Object.fromEntries(Object.keys(methods).map((name) => [name, [false, []]]));
  methods.__ray_call__ = ([expression]: readonly unknown[]) => {
    const { args } = expression as PyObject;
    return String((args as PyList).items[0]).includes('maxsize') ? null : signatures;
  };
  return methods;
}

const onQueue = (): Queue<unknown> => handle(QueueDescriptor.createRayQueue('jobs', { address: ray.address }));
const onForeign = (items: unknown[]): (() => Queue<unknown>) => {
  ray.actors.set('foreign', foreignActor(items));
  const metadata = { actor_name: 'foreign', address: ray.address };
  return () => handle(new QueueDescriptor({ queueId: 'foreign', queueType: 'ray_actor', metadata }));
};

test.each<[string, () => () => Queue<unknown>]>([
  ['a queue actor', () => onQueue],
  ['a foreign actor', () => onForeign([])],
])('%s: what is on lease goes back with its handle, and an ack of it says so', async (_name, make) => {
  const queueOf = make();
  const [holder, other] = [queueOf(), queueOf()];
  await other.putMany(['late', 'acknowledged', 'released']);
  const [late, acknowledged, released] = [await holder.lease(), await holder.lease(), await holder.lease()];
  await acknowledged.ack();
  await released.release();
  await holder.close();
  await expect(late.ack()).rejects.toThrow(QueueClosedError);
  await late.release();
  await acknowledged.ack();
  await released.ack();
  expect((await other.getMany(10)).sort()).toEqual(['late', 'released']);
  await expect(other.get({ block: false })).rejects.toThrow(QueueEmptyError);
});

test.each<[string, () => () => Queue<unknown>]>([
  ['a queue actor', () => onQueue],
  ['a foreign actor', () => onForeign([])],
])('%s: those that are released together come again in the order they had', async (_name, make) => {
  const queue = make()();
  await queue.putMany([1, 2, 3, 4, 5]);
  const batch = await queue.leaseMany(4);
  await batch.leases[1]!.ack();
  await batch.release();
  expect(await queue.getMany(10)).toEqual([1, 3, 4, 5]);
});

test.each<[string, () => () => Queue<unknown>]>([
  ['a queue actor', () => onQueue],
  ['a foreign actor', () => onForeign([])],
])('%s: a release counts as a delivery, an undo does not', async (_name, make) => {
  const queue = make()();
  await queue.putMany([1, 2]);
  const batch = await queue.leaseMany(2);
  await endLeases(batch, 1, 2, 'undo');
  await batch.leases[0]!.release();
  const again = await queue.leaseMany(2);
  expect(again.leases.map(({ item, deliveries }) => [item, deliveries])).toEqual([
    [1, 2],
    [2, 1],
  ]);
});

test('once their actor is gone, the ack of each says that', async () => {
  const queue = onQueue();
  await queue.putMany([1, 2]);
  const leases = [await queue.lease(), await queue.lease()];
  ray.actors.clear();
  for (const lease of leases) await expect(lease.ack()).rejects.toThrow(RayActorDiedError);
});
