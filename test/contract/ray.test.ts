import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { describeQueueContract } from '../../lib/testing';
import { fakeQueueActor } from '../ray/fake-queue-actor';
import { FakeRay } from '../ray/fake-ray';

const ray = new FakeRay();
ray.create = fakeQueueActor;
beforeAll(() => ray.start());
afterAll(() => ray.stop());

// On a real cluster: test/ray-cluster/contract.test.ts.
describeQueueContract(
  'ray_queue, before an actor in this process',
  () => resolveDescriptor(QueueDescriptor.createRayQueue('contract', { address: ray.address, maxsize: 3 })),
  { bounded: true },
);
