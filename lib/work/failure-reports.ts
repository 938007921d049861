/** What failed, told once each. */
import type { QueueDescriptor } from '../descriptor/descriptor';
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
        this.onError(error, item, job);
      } catch (thrown) {
        process.emitWarning(`onError of a consumer threw: ${String(thrown)}`, { code: 'SAGE_QUEUE_ON_ERROR' });
      }
      return;
    }
    if (this.warned) return;
    this.warned = true;
    process.emitWarning(
      `A handler of the queue '${this.queue.queueId}' failed: ${String(error)}. Further failures are not shown: give consume() an onError to see each.`,
      { code: 'SAGE_QUEUE_HANDLER_FAILED' },
    );
  }
}
