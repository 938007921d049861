export * from './errors';
export { QueueDescriptor } from './descriptor';
export type { QueueDescriptorJSON } from './descriptor';
export type { JsonValue, Metadata } from './metadata';
export type * from './options';
export type * from './queue';
export { BaseQueue } from './base-queue';
export { wrapQueue } from './wrap-queue';
export {
  closeAllQueues,
  getRegisteredQueueTypes,
  registerQueueImplementation,
  resolveDescriptor,
  unregisterQueueImplementation,
} from './registry';
export {
  attachToShmQueue,
  getLocalQueue,
  getRayActorQueue,
  getRayQueue,
  getRpcQueue,
  getSageQueue,
} from './convenience';
export { listSegments, pruneSegments } from './segments';
export type { SegmentInfo } from './segments';
export { registerCodec } from './codec';
export type { Codec, CodecName } from './codec';
