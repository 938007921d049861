/// <reference types="node" preserve="true" />
/** `sage-queue/testing`: for tests of code that uses queues, and of new queue types. */
export { StubQueue } from './testing/stub-queue';
export { describeQueueContract } from './testing/contract';
export type { ContractOptions } from './testing/contract';
