/** The two queues of a run, by type: how they are made, and how they go. */
import { QueueDescriptor } from '../../descriptor/descriptor';
import type { NativeQueue, Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { UsageError } from '../command';
import { parseQueue } from '../queue-uri';
import { handlesOf } from './queue-pair';
import type { DemoQueues, QueueOptions } from './queue-pair';
import { killActorOf, onRay } from './ray';

const MAXSIZE = 256;
const CAPACITY_BYTES = 4 * 1024 * 1024;

/** A further type is a line here. */
const makers: Record<string, (name: string, options: QueueOptions) => Promise<DemoQueues>> = {
  shm: (name) =>
    native('shm', name, (part) =>
      QueueDescriptor.createShmQueue(part, part, { maxsize: MAXSIZE, capacityBytes: CAPACITY_BYTES }),
    ),
  sage_queue: (name) =>
    native('sage', name, (part) =>
      QueueDescriptor.createSageQueue(part, { maxsize: MAXSIZE, capacityBytes: CAPACITY_BYTES }),
    ),
  rpc: served,
  ray_queue: (name, options) => onRay('ray_queue', name, MAXSIZE, options),
  ray_actor: (name, options) => onRay('ray_actor', name, MAXSIZE, options),
};

export const demoTypes = Object.keys(makers);

/** @throws UsageError for a type the demo cannot make queues of. */
export function makerOf(type: string): (name: string, options: QueueOptions) => Promise<DemoQueues> {
  const make = Object.hasOwn(makers, type) ? makers[type] : undefined;
  if (make !== undefined) return make;
  throw new UsageError(
    `--type is one of ${demoTypes.join(', ')}, found '${type}'. The processes of the demo must be able to share it.`,
  );
}

async function native(
  scheme: string,
  name: string,
  descriptorOf: (part: string) => QueueDescriptor,
): Promise<DemoQueues> {
  const open: NativeQueue[] = [];
  const make = (part: string): NativeQueue => {
    const queue = resolveDescriptor(descriptorOf(part), { create: 'exclusive' }) as unknown as NativeQueue;
    open.push(queue);
    return queue;
  };
  const remove = async (): Promise<void> => {
    for (const queue of open.splice(0)) {
      queue.unlinkSync();
      queue.closeSync();
    }
  };
  try {
    const records = make(`${name}-records`);
    const results = make(`${name}-results`);
    return {
      recordsQueue: `${scheme}:${name}-records`,
      resultsQueue: `${scheme}:${name}-results`,
      ...handlesOf(records, results),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Two queues in this process's memory behind a server on the loopback interface. */
async function served(name: string): Promise<DemoQueues> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- gRPC is loaded by those who want it
  const { QueueServer } = require('../../rpc') as typeof import('../../rpc');
  const descriptors = [`${name}-records`, `${name}-results`].map((id) =>
    QueueDescriptor.createLocalQueue(id, { maxsize: MAXSIZE }),
  );
  const server = new QueueServer({
    queues: Object.fromEntries(descriptors.map((descriptor) => [descriptor.queueId, descriptor])),
  });
  const [records, results] = descriptors.map((descriptor) => resolveDescriptor(descriptor)) as [Queue, Queue];
  const { host, port } = await server.start();
  return {
    recordsQueue: `rpc://${host}:${port}/${name}-records`,
    resultsQueue: `rpc://${host}:${port}/${name}-results`,
    ...handlesOf(records, results),
    remove: async () => {
      await server.stop({ graceMs: 0 });
      await Promise.all([records.close(), results.close()]);
    },
  };
}

/** What a parent that is gone has left behind. @throws when another child was faster. */
export async function removeQueue(uri: string): Promise<void> {
  const descriptor = parseQueue(uri);
  if (descriptor.queueType.startsWith('ray_')) return killActorOf(descriptor);
  (resolveDescriptor(descriptor, { create: 'never' }) as unknown as Partial<NativeQueue>).unlinkSync?.();
}
