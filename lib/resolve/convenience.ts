/** Descriptor and resolution in one. */
import { QueueDescriptor } from '../descriptor/descriptor';
import type { LocalOptions, RayOptions, RpcOptions, SageOptions, ShmOptions } from '../descriptor/options';
import type { NativeQueue, Queue, SageQueue } from '../queue/types';
import { resolveDescriptor } from './registry';

export function getLocalQueue<T = unknown>(queueId: string, options?: LocalOptions): Queue<T> {
  return resolveDescriptor<T, 'local'>(QueueDescriptor.createLocalQueue(queueId, options));
}

export function attachToShmQueue<T = unknown>(
  queueId: string | undefined,
  shmName: string,
  options?: ShmOptions,
): NativeQueue<T> {
  return resolveDescriptor<T, 'shm'>(QueueDescriptor.createShmQueue(queueId, shmName, options));
}

export function getSageQueue<T = unknown>(queueId: string, options?: SageOptions): SageQueue<T> {
  return resolveDescriptor<T, 'sage_queue'>(QueueDescriptor.createSageQueue(queueId, options));
}

export function getRayActorQueue<T = unknown>(
  queueId: string | undefined,
  actorName: string,
  options?: RayOptions,
): Queue<T> {
  return resolveDescriptor<T, 'ray_actor'>(QueueDescriptor.createRayActorQueue(queueId, actorName, options));
}

export function getRayQueue<T = unknown>(queueId: string, options?: RayOptions): Queue<T> {
  return resolveDescriptor<T, 'ray_queue'>(QueueDescriptor.createRayQueue(queueId, options));
}

export function getRpcQueue<T = unknown>(
  serverAddress: string,
  port: number,
  queueId?: string,
  options?: RpcOptions,
): Queue<T> {
  return resolveDescriptor<T, 'rpc'>(QueueDescriptor.createRpcQueue(serverAddress, port, queueId, options));
}
