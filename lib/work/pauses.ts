/** How long an item pauses before it runs again. */
import { describeValue } from '../util/describe-value';
import type { FailureReports } from './failure-reports';
import type { HeldItem } from './held-items';
import { defaultBackoffMs } from './options';
import { LONGEST_PAUSE_MS } from './retry-record';
import { RunningJob } from './running-job';

export class Pauses<T> {
  constructor(
    private readonly backoffMs: (deliveries: number) => number,
    private readonly reports: FailureReports<T>,
  ) {}

  /** What is left of it; of an item that came before. @param leastMs of a whole one */
  before(held: HeldItem<T>, leastMs = 0): number {
    if (held.dueAtMs !== undefined) return Math.max(0, held.dueAtMs - Date.now());
    return Math.max(leastMs, this.whole(held, held.deliveries - 1));
  }

  /** All of it; of an item whose attempt has just failed. */
  after(held: HeldItem<T>): number {
    return this.whole(held, held.deliveries);
  }

  private whole(held: HeldItem<T>, attempts: number): number {
    let pauseMs: number;
    try {
      pauseMs = this.backoffMs(attempts);
      if (typeof pauseMs !== 'number')
        throw new TypeError(`backoffMs must return a number of milliseconds, found ${describeValue(pauseMs)}.`);
    } catch (error) {
      this.reports.tell(error, held.item, new RunningJob(held.deliveries, held.crashes));
      pauseMs = defaultBackoffMs(attempts);
    }
    return pauseMs > 0 ? Math.min(pauseMs, LONGEST_PAUSE_MS) : 0;
  }
}
