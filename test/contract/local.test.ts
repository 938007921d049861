import { QueueDescriptor, resolveDescriptor } from '../../lib/index';
import { describeQueueContract } from '../../lib/testing';

describeQueueContract('local, unbounded', () => resolveDescriptor(QueueDescriptor.createLocalQueue()));
describeQueueContract(
  'local, maxsize 3',
  () => resolveDescriptor(QueueDescriptor.createLocalQueue(undefined, { maxsize: 3 })),
  {
    bounded: true,
  },
);
