/// <reference types="node" preserve="true" />
/** `sage-queue/work`: handlers, retries and dead letters, request and reply, on any queue. */
export { consume } from './work/consume';
export { serve } from './work/serve';
export type { ServeOptions } from './work/serve';
export { caller } from './work/caller';
export type { Caller, CallerOptions, CallOptions } from './work/caller';
export { RemoteError } from './errors';
export type { ConsumeOptions, Consumer, ConsumerStats, DeadLetter, Job } from './work/types';
