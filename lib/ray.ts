/** `sage-queue/ray`: a Ray cluster from Node, without Python here. gRPC is loaded when the first client connects. */
export {
  RayActor,
  RayClient,
  RayObjectRef,
  type ActorClass,
  type ActorOptions,
  type Kwargs,
} from './queues/ray/client';
export { RayActorDiedError, RaySessionLostError, RayTaskError } from './queues/ray/errors';
export type { RayCredentials } from './queues/ray/grpc';
export type { RayClientOptions } from './queues/ray/session';
export type { Promises } from './queues/ray/backend';
export { RayActorQueue, RayQueue, type RayQueueStats } from './queues/ray';
export {
  asFrozenSet,
  asTuple,
  ndarray,
  PyException,
  PyFloat,
  PyGlobal,
  PyObject,
  PyPersistent,
  type NdArray,
} from './queues/ray/pickle/types';
export { plainAttributes } from './queues/ray/pickle/convert';
