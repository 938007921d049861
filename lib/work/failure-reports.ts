/** What failed, told once each. */
import type { QueueDescriptor } from '../descriptor/descriptor';
import { isThenable } from '../util/thenable';
import { describeThrown } from '../util/describe-value';
import type { ConsumeOptions, Job } from './types';

export class FailureReports<T> {
  private warned = false;

  constructor(
    private readonly queue: QueueDescriptor,
    /** Undefined: the first one is a warning of the process. */
    private readonly onError: ConsumeOptions<T>['onError'],
  ) {}

  tell(error: unknown, item: T, job: Job): void {
    if (this.onError !== undefined) {
      try {
        const told: unknown = this.onError(error, item, job);
        if (isThenable(told)) void Promise.resolve(told).catch(warnOfOnError);
      } catch (thrown) {
        warnOfOnError(thrown);
      }
      return;
    }
    if (this.warned) return;
    this.warned = true;
    process.emitWarning(
      `A handler of the queue '${this.queue.queueId}' failed: ${describeThrown(error)}. Further failures are not shown: give consume() an onError to see each.`,
      { code: 'SAGE_QUEUE_HANDLER_FAILED' },
    );
  }
}

/** It is there to be told, and may not end what tells it. */
const warnOfOnError = (thrown: unknown): void =>
  process.emitWarning(`onError of a consumer threw: ${describeThrown(thrown)}`, { code: 'SAGE_QUEUE_ON_ERROR' });
