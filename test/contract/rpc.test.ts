import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { describeQueueContract } from '../../lib/testing';

let made = 0;

/** One server for each kind of queue behind it; each test gets a queue of its own on it. */
function contractBehind(kind: string, behind: (queueId: string, maxsize: number) => QueueDescriptor): void {
  const servers = [0, 4].map((maxsize) => ({
    maxsize,
    server: new QueueServer({ queues: (queueId) => behind(queueId, maxsize) }),
    port: 0,
  }));
  beforeAll(async () => {
    for (const entry of servers) entry.port = (await entry.server.start()).port;
  });
  afterAll(async () => {
    for (const { server } of servers) await server.stop();
  });
  for (const entry of servers) {
    const { maxsize } = entry;
    describeQueueContract(
      `rpc backed by ${kind}, ${maxsize === 0 ? 'unbounded' : `maxsize ${maxsize}`}`,
      async () => {
        const queue = resolveDescriptor(
          QueueDescriptor.createRpcQueue('127.0.0.1', entry.port, `contract-${made++}`, { maxsize }),
        ) as Queue;
        // "At once" is about the queue: the connection is up and the queue behind the server open before the clock runs.
        await queue.qsize();
        return queue;
      },
      { bounded: maxsize > 0, shared: true },
    );
  }
}

contractBehind('local', (queueId, maxsize) => QueueDescriptor.createLocalQueue(queueId, { maxsize }));
contractBehind('shm', (queueId, maxsize) =>
  QueueDescriptor.createShmQueue(queueId, `rpc-${process.pid}-${queueId}`, { maxsize }),
);
contractBehind('sage_queue', (queueId, maxsize) =>
  QueueDescriptor.createSageQueue(queueId, { maxsize, namespace: `rpc-${process.pid}` }),
);
