import { attachToShmQueue, QueueDescriptor, resolveDescriptor } from '../../lib';
import { describeQueueContract } from '../../lib/testing';

let count = 0;
const freshName = (): string => `contract.${process.pid}.${count++}`;

describeQueueContract('shm', () => attachToShmQueue(undefined, freshName(), { maxsize: 5 }), {
  bounded: true,
  shared: true,
});

describeQueueContract(
  'sage_queue',
  () => resolveDescriptor(QueueDescriptor.createSageQueue(freshName(), { maxsize: 5, namespace: 'contract' })),
  { bounded: true, shared: true },
);
