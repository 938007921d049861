/** The demo on a Ray cluster: queues in actors, and workers that are Ray tasks in Python beside the Node processes. */
import { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueConnectionError } from '../../errors';
import type { Queue } from '../../queue/types';
import type { RayClient, RayQueueStats } from '../../ray';
import { resolveDescriptor } from '../../resolve/registry';
import { UsageError } from '../command';
import { handlesOf, type DemoQueues, type DemoTask, type QueueOptions } from './queue-pair';
import { TASK_NAME, TASK_SOURCE } from './ray-task';
import type { Source } from './records';

/** What a killed worker held comes again after this. */
const LEASE_MS = 4000;
/** A cluster starts a Python process for each task. */
const TASKS_START_MS = 60_000;
const LOOK_MS = 50;
/** That of the queues, so that a client beside them shares their session. */
const GRACE_MS = 5000;

function clientFor(descriptor: QueueDescriptor): RayClient {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- gRPC is loaded by those who want it
  const { RayClient } = require('../../ray') as typeof import('../../ray');
  return new RayClient({ address: descriptor.metadata.address as string, graceMs: GRACE_MS });
}

function describe(type: 'ray_queue' | 'ray_actor', name: string, address: string, maxsize: number): QueueDescriptor {
  const { queueId, queueType, metadata } =
    type === 'ray_queue'
      ? QueueDescriptor.createRayQueue(name, { address, maxsize })
      : QueueDescriptor.createRayActorQueue(name, name, { address, maxsize });
  return new QueueDescriptor({ queueId, queueType, metadata: { ...metadata, lease_ms: LEASE_MS } });
}

/** @throws UsageError without an address. */
export function clusterAddress(type: string, address = process.env.RAY_ADDRESS): string {
  if (address !== undefined && address !== '') return address;
  throw new UsageError(
    `--type ${type} needs a Ray cluster: give --address ray://HOST:10001, or set RAY_ADDRESS to that. ` +
      `To have one here: pip install 'ray[client]', then ray start --head.`,
  );
}

/** @throws UsageError without an address; QueueConnectionError when no cluster is there. */
export async function onRay(
  type: 'ray_queue' | 'ray_actor',
  name: string,
  maxsize: number,
  { address: asked, rayTasks }: QueueOptions,
): Promise<DemoQueues> {
  const address = clusterAddress(type, asked);
  const descriptors = ['records', 'results'].map((part) => describe(type, `${name}-${part}`, address, maxsize));
  const queues: Queue[] = [];
  const remove = async (): Promise<void> => {
    // What cannot be reached cannot be removed; the error that is on its way says more.
    await Promise.allSettled(descriptors.map(killActorOf));
    await Promise.allSettled(queues.map((queue) => queue.close()));
  };
  try {
    for (const descriptor of descriptors) queues.push(resolveDescriptor(descriptor, { create: 'exclusive' }));
    const made = await Promise.allSettled(queues.map((queue) => queue.qsize()));
    const failed = made.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) {
      await Promise.allSettled(descriptors.filter((_, at) => made[at]!.status === 'fulfilled').map(killActorOf));
      throw failed.reason;
    }
  } catch (error) {
    await Promise.allSettled(queues.map((queue) => queue.close()));
    throw error;
  }
  const [records, results] = queues as [Queue, Queue];
  const statsOfRecords = (): Promise<RayQueueStats> => records.stats() as Promise<RayQueueStats>;
  return {
    recordsQueue: JSON.stringify(descriptors[0]),
    resultsQueue: JSON.stringify(descriptors[1]),
    ...handlesOf(records, results),
    redelivered: async () => (await statsOfRecords()).redelivered ?? 0,
    startTasks: (source, others) => startTasks(descriptors, rayTasks, source, async () => {
      const { waitingGetters = 0 } = await statsOfRecords();
      return waitingGetters >= rayTasks + others;
    }), // prettier-ignore
    remove,
  };
}

async function startTasks(
  descriptors: readonly QueueDescriptor[],
  count: number,
  source: Source,
  allWait: () => Promise<boolean>,
): Promise<DemoTask[]> {
  const client = clientFor(descriptors[0]!);
  const args = [client.namespace, ...descriptors.map(actorNameOf), source.group, source.value];
  const tasks = await Promise.all(
    Array.from({ length: count }, async () => {
      // They wait most of the time: a cluster that is busy has room for them.
      const outcome = await client.startTask({ source: TASK_SOURCE, name: TASK_NAME }, args, { numCpus: 0 });
      return { worked: client.get(outcome) as Promise<number> };
    }),
  );
  const ended = Promise.all(tasks.map(({ worked }) => worked));
  void ended.catch(() => {}).then(() => client.close());
  let failure: { error: unknown } | undefined;
  ended.catch((error: unknown) => (failure = { error }));
  const deadline = performance.now() + TASKS_START_MS;
  while (!(await allWait())) {
    if (failure !== undefined) throw failure.error;
    if (performance.now() > deadline) {
      throw new QueueConnectionError(
        `The ${count} Ray tasks did not start within ${TASKS_START_MS / 1000} s. Has the cluster room for that many Python processes?`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return tasks;
}

const actorNameOf = ({ queueId, metadata }: QueueDescriptor): string => (metadata.actor_name as string) ?? queueId;

/** Ends the actor that is the queue. */
export async function killActorOf(descriptor: QueueDescriptor): Promise<void> {
  const client = clientFor(descriptor);
  try {
    const actor = await client.getActor(actorNameOf(descriptor));
    if (actor !== undefined) await client.kill(actor);
  } finally {
    await client.close();
  }
}
