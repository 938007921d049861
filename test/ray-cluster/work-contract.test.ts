/** Work on queues of a real cluster, as on those of every other type. */
import type { Queue } from '../../lib';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { caller } from '../../lib/work';
import { describeConsume } from '../work/consume-contract';
import { later } from '../work/queues';
import type { QueueTypes } from '../work/queues';
import { describeServe } from '../work/serve-contract';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('work');
// Open throughout, so that the queues that come and go share one session.
const holder = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });

beforeAll(() => holder.listNamedActors());
afterAll(async () => {
  await killActors(holder, names);
  await holder.close();
});

/** One actor for all tests of a type, which takes seconds to start; each test has it empty, and a handle of its own. */
async function empty(descriptor: QueueDescriptor): Promise<Queue> {
  const queue = resolveDescriptor(descriptor, PATIENT) as Queue;
  later(() => queue.close());
  for (let count = await queue.qsize(); count > 0; count = await queue.qsize()) await queue.getMany(count);
  return queue;
}

const options = { address: rayAddress(), namespace };
const names = [freshName('jobs'), freshName('jobs')] as const;
const types: QueueTypes = {
  ray_queue: () => empty(QueueDescriptor.createRayQueue(names[0], options)),
  ray_actor: () => empty(QueueDescriptor.createRayActorQueue(undefined, names[1], options)),
};

describeConsume(types);

const { ray_actor: makeActor, ...withReplies } = types;
describeServe(withReplies, () => 2000);

test('calls through a ray_actor are refused: its actor has no place for replies', async () => {
  const queue = await makeActor!();
  expect(() => caller(queue)).toThrow(expect.objectContaining({ code: 'ERR_DESCRIPTOR_INVALID' }));
  expect(() => caller(queue)).toThrow(/Use a ray_queue/);
});
