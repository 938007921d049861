/// <reference types="node" preserve="true" />
export * from './errors';
export { QueueDescriptor } from './descriptor/descriptor';
export type { QueueDescriptorJSON } from './descriptor/descriptor';
export type { JsonValue, Metadata } from './descriptor/metadata';
export type * from './descriptor/options';
export type * from './queue/types';
export { BaseQueue } from './queue/base-queue';
export { wrapQueue } from './queue/adapter/wrap-queue';
export {
  closeAllQueues,
  getRegisteredQueueTypes,
  registerQueueImplementation,
  resolveDescriptor,
  unregisterQueueImplementation,
} from './resolve/registry';
export {
  attachToShmQueue,
  getLocalQueue,
  getRayActorQueue,
  getRayQueue,
  getRpcQueue,
  getSageQueue,
} from './resolve/convenience';
export { listSegments, pruneSegments } from './transports/shm/segments';
export type { SegmentInfo } from './transports/shm/segments';
export { registerCodec } from './codec/registry';
export type { Codec } from './codec/registry';
export type { ItemOf, ScalarSchema, Schema } from './descriptor/schema';
