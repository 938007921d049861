/// <reference types="node" preserve="true" />
/** `sage-queue/ray`: a Ray cluster from Node, without Python here. gRPC is loaded when the first client connects. */
export { RayActor, RayClient, RayObjectRef, type ActorOptions } from './transports/ray/client/ray-client';
export type { ActorClass, Kwargs } from './transports/ray/client/pickled-calls';
export {
  RayActorDiedError,
  RayActorUnavailableError,
  RaySessionLostError,
  RayTaskError,
} from './transports/ray/errors';
export type { RayCredentials } from './transports/ray/client/grpc';
export type { RayClientOptions } from './transports/ray/client/session';
export type { Promises } from './transports/ray/actor/backend';
export { RayActorQueue, RayQueue, type RayQueueStats } from './transports/ray';
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
} from './transports/ray/pickle/types';
export { plainAttributes, plainValue } from './transports/ray/pickle/convert';
