/** A queue of each type that work runs on, fresh for each test. */
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor } from '../../lib';
import type { NativeQueue, Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import type { Consumer } from '../../lib/work';
import { StubQueue } from '../../lib/testing';
import { Impatient } from '../adapter/queues';
import { fakeQueueActor } from '../ray/fake-queue-actor';
import { FakeRay } from '../ray/fake-ray';

registerQueueImplementation('four_methods', Impatient);

let count = 0;
const consumers: Consumer[] = [];
const open: (() => Promise<void>)[] = [];

const local = (maxsize: number): Queue =>
  resolveDescriptor(QueueDescriptor.createLocalQueue(`work-${count++}`, { maxsize }));
const native = (descriptor: QueueDescriptor): Queue => {
  const queue = resolveDescriptor(descriptor) as NativeQueue;
  open.push(async () => {
    queue.unlinkSync();
    await queue.close();
  });
  return queue;
};
const name = (): string => `work.${process.pid}.${count++}`;
const sage = (maxsize: number): Queue => native(QueueDescriptor.createSageQueue(name(), { maxsize: maxsize || 1000 }));
const shm = (maxsize: number): Queue =>
  native(QueueDescriptor.createShmQueue(undefined, name(), { maxsize: maxsize || 1000 }));

async function served(backing: Queue): Promise<Queue> {
  const server = new QueueServer({ queues: { work: backing } });
  const { port } = await server.start();
  const queue = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work'));
  open.unshift(async () => {
    await queue.close();
    await server.stop({ graceMs: 0 });
  });
  return queue;
}

/** On a cluster of its own. test/ray-cluster/work-contract.test.ts asks a real one the same. */
async function onRay(maxsize: number): Promise<Queue> {
  const ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
  const queue = resolveDescriptor(QueueDescriptor.createRayQueue(name(), { address: ray.address, maxsize }));
  open.unshift(async () => {
    await queue.close();
    const left = [...ray.actors.keys()].filter((actor) => actor !== queue.descriptor.queueId);
    await ray.stop();
    expect(left).toEqual([]);
  });
  return queue;
}

/** How a fresh queue of each is made. @param maxsize 0: large enough for anything. */
export type QueueTypes = Record<string, (maxsize?: number) => Promise<Queue>>;

export const queueTypes: QueueTypes = {
  local: async (maxsize = 0) => local(maxsize),
  sage_queue: async (maxsize = 0) => sage(maxsize),
  shm: async (maxsize = 0) => shm(maxsize),
  'rpc, before local': async (maxsize = 0) => served(local(maxsize)),
  'rpc, before sage_queue': async (maxsize = 0) => served(sage(maxsize)),
  ray_queue: async (maxsize = 0) => onRay(maxsize),
  stub: async (maxsize = 0) =>
    new StubQueue(new QueueDescriptor({ queueId: 'stub', queueType: 'stub', metadata: { maxsize } })),
  'four methods': async () =>
    resolveDescriptor(new QueueDescriptor({ queueId: `four-${count++}`, queueType: 'four_methods' })),
};

/** Done before the queues are closed. */
export const later = (end: () => Promise<void>): void => void open.unshift(end);

/** Stopped before the queues are closed. */
export const track = (consumer: Consumer): Consumer => {
  consumers.push(consumer);
  return consumer;
};

afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.stop({ graceMs: 0 })));
  for (const close of open.splice(0)) await close();
});

/** Polls a condition that nothing announces. What it does not find in time it tells with what became of the consumers. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      const found = consumers.map((consumer) => consumer.stats());
      throw new Error(`waited 15 s for: ${what}; the consumers: ${JSON.stringify(found)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const never = (): Promise<never> => new Promise(() => {});
