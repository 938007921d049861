/** Random sequences of everything a handle can do, as every other type is held to them (test/model), in a real cluster. */
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import type { Queue } from '../../lib';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { holdToReference } from '../model/sequences';
import type { QueueType } from '../model/types';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('sequences');
// Open throughout, so that the queues that come and go share one session.
const holder = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });

beforeAll(() => holder.listNamedActors());
afterAll(() => holder.close());

const ray: QueueType = {
  name: 'ray_queue',
  shared: true,
  remote: true,
  runMs: 40_000,
  make: (maxsize) => {
    const queueId = freshName('queue');
    const first = QueueDescriptor.createRayQueue(queueId, { maxsize, namespace, address: rayAddress() });
    return {
      open: (descriptor = first) => resolveDescriptor<number>(descriptor, PATIENT) as Queue<number>,
      end: () => killActors(holder, [queueId]),
    };
  },
  end: async () => {},
};

test('does as the reference', () => holdToReference(ray), 3_600_000);
