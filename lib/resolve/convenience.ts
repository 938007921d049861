/** Descriptor and resolution in one. */
import { QueueDescriptor } from '../descriptor/descriptor';
import type { ItemOf, Schema } from '../descriptor/schema';
import type { LocalOptions, RayOptions, RpcOptions, SageOptions, ShmOptions } from '../descriptor/options';
import type { QueueFor } from '../queue/types';
import { nonEmpty } from '../descriptor/option-metadata';
import { resolveDescriptor } from './registry';

/** A variable that was never set is no wish for a queue that nobody else can name: the factories of `QueueDescriptor` make ids up. */
const named = (queueId: string): string => nonEmpty('queue_id', queueId);

/**
 * A queue in the memory of this thread, made if there is none under the id.
 * @throws ConfigMismatchError where it is there with another maxsize or schema; InvalidDescriptorError
 */
export function getLocalQueue<const S extends Schema>(
  queueId: string,
  options: LocalOptions & { schema: S },
): QueueFor<'local', ItemOf<S>>;
export function getLocalQueue<T = unknown>(queueId: string, options?: LocalOptions): QueueFor<'local', T>;
export function getLocalQueue<T = unknown>(queueId: string, options?: LocalOptions): QueueFor<'local', T> {
  return resolveDescriptor<T>(QueueDescriptor.createLocalQueue(named(queueId), options));
}

/**
 * A queue in shared memory under that name, made if there is none. The id is for messages; undefined: one is made.
 * @throws ConfigMismatchError, SegmentError, InvalidDescriptorError
 */
export function attachToShmQueue<const S extends Schema>(
  queueId: string | undefined,
  shmName: string,
  options: ShmOptions & { schema: S },
): QueueFor<'shm', ItemOf<S>>;
export function attachToShmQueue<T = unknown>(
  queueId: string | undefined,
  shmName: string,
  options?: ShmOptions,
): QueueFor<'shm', T>;
export function attachToShmQueue<T = unknown>(
  queueId: string | undefined,
  shmName: string,
  options?: ShmOptions,
): QueueFor<'shm', T> {
  return resolveDescriptor<T>(QueueDescriptor.createShmQueue(queueId, shmName, options));
}

/**
 * A queue in shared memory under that id, made if there is none.
 *
 * @example
 * const orders = getSageQueue('orders', { schema: { id: 'u32', tags: ['string'], 'note?': 'string' } });
 * orders.putSync({ id: 7, tags: [] });
 * @throws ConfigMismatchError, SegmentError, InvalidDescriptorError
 */
export function getSageQueue<const S extends Schema>(
  queueId: string,
  options: SageOptions & { schema: S },
): QueueFor<'sage_queue', ItemOf<S>>;
export function getSageQueue<T = unknown>(queueId: string, options?: SageOptions): QueueFor<'sage_queue', T>;
export function getSageQueue<T = unknown>(queueId: string, options?: SageOptions): QueueFor<'sage_queue', T> {
  return resolveDescriptor<T>(QueueDescriptor.createSageQueue(named(queueId), options));
}

/** The Ray actor of that name as a queue, made if there is none. Errors of the cluster come from the first call. */
export function getRayActorQueue<T = unknown>(
  queueId: string | undefined,
  actorName: string,
  options?: RayOptions,
): QueueFor<'ray_actor', T> {
  return resolveDescriptor<T>(QueueDescriptor.createRayActorQueue(queueId, actorName, options));
}

/** A queue on a Ray cluster, made if there is none. Errors of the cluster come from the first call. */
export function getRayQueue<T = unknown>(queueId: string, options?: RayOptions): QueueFor<'ray_queue', T> {
  return resolveDescriptor<T>(QueueDescriptor.createRayQueue(named(queueId), options));
}

/** A queue that a `QueueServer` serves under that id. Errors of the connection come from the first call. */
export function getRpcQueue<const S extends Schema>(
  serverAddress: string,
  port: number,
  queueId: string | undefined,
  options: RpcOptions & { schema: S },
): QueueFor<'rpc', ItemOf<S>>;
export function getRpcQueue<T = unknown>(
  serverAddress: string,
  port: number,
  queueId?: string,
  options?: RpcOptions,
): QueueFor<'rpc', T>;
export function getRpcQueue<T = unknown>(
  serverAddress: string,
  port: number,
  queueId?: string,
  options?: RpcOptions,
): QueueFor<'rpc', T> {
  return resolveDescriptor<T>(QueueDescriptor.createRpcQueue(serverAddress, port, queueId, options));
}
