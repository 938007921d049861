import { QueueDescriptor } from '../../lib/index';
import { describeQueueContract, StubQueue } from '../../lib/testing';

describeQueueContract(
  'stub for shm',
  () => new StubQueue(QueueDescriptor.createShmQueue(undefined, 'stub', { maxsize: 4 })),
  {
    bounded: true,
  },
);
describeQueueContract('stub for ray_queue', () => new StubQueue(QueueDescriptor.createRayQueue()));
