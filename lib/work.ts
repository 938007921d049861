/** `sage-queue/work`: handlers, retries and dead letters on any queue. */
export { consume } from './work/consume';
export type { ConsumeOptions, Consumer, ConsumerStats, DeadLetter, Job } from './work/types';
