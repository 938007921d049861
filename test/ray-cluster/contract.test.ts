import { resolveDescriptor } from '../../lib/resolve/registry';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { describeQueueContract } from '../../lib/testing';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const options = { maxsize: 3, namespace: freshName('contract') };

// Open throughout, so that the queues that come and go share one session.
const holder = new RayClient({ address: rayAddress(), namespace: options.namespace, graceMs: 5000 });
const names: string[] = [];
const named = (prefix: string): string => {
  const name = freshName(prefix);
  names.push(name);
  return name;
};

beforeAll(() => holder.listNamedActors());
afterAll(async () => {
  await killActors(holder, names);
  await holder.close();
});

const queueId = named('queue');
describeQueueContract(
  'ray_queue',
  () => resolveDescriptor(QueueDescriptor.createRayQueue(queueId, { ...options, address: rayAddress() }), PATIENT),
  { bounded: true },
);

const actorName = named('actor');
describeQueueContract(
  'ray_actor',
  () =>
    resolveDescriptor(
      QueueDescriptor.createRayActorQueue(undefined, actorName, { ...options, address: rayAddress() }),
      PATIENT,
    ),
  { bounded: true },
);
