/** The handlers that run now, and their timeouts. */
import type { QueueDescriptor } from '../descriptor/descriptor';
import { QueueTimeoutError } from '../errors';
import { isThenable } from '../util/thenable';
import type { Awaitable } from '../queue/types';
import { Alarm, deadlineOf } from '../wait/deadline';
import { beginWith } from './held-items';
import type { HeldItem } from './held-items';
import { RunningJob } from './running-job';
import { traceJob } from './tracing';
import type { Job } from './types';

export interface Run<T> {
  readonly items: readonly HeldItem<T>[];
  readonly job: RunningJob;
  /** Both on the monotonic clock. 0: its handler has not returned yet, not even a promise. */
  startedMs: number;
  readonly deadline: number;
  over: boolean;
}

/** What becomes of a run. Each one ends in one way, once. */
export interface RunOutcomes<T> {
  succeeded(run: Run<T>): void;
  /** Its handler threw, or took too long. */
  failed(run: Run<T>, error: unknown): void;
  /** It was ended from outside: its items go back. */
  broken(run: Run<T>): void;
  /** After an end that the caller of `start` did not see. */
  changed(): void;
}

export class HandlerRuns<T> {
  /** In the order of their starts, which is that of their deadlines. */
  private readonly runs = new Set<Run<T>>();
  private readonly timeouts = new Alarm(Infinity, () => this.timeOut(), true);

  constructor(
    private readonly queue: QueueDescriptor,
    private readonly handler: (given: T | T[], job: Job) => Awaitable<void>,
    private readonly options: { batch: number | undefined; timeoutMs: number },
    private readonly outcomes: RunOutcomes<T>,
  ) {}

  get size(): number {
    return this.runs.size;
  }

  /** Since when the one that has run longest is awaited; undefined: nothing runs. */
  get oldestMs(): number | undefined {
    for (const { startedMs } of this.runs) return startedMs;
    return undefined;
  }

  start(items: HeldItem<T>[]): void {
    const { batch, timeoutMs } = this.options;
    let [deliveries, crashes] = [1, 0];
    for (const held of items) {
      beginWith(held);
      deliveries = Math.max(deliveries, held.deliveries);
      crashes = Math.max(crashes, held.crashes);
    }
    const job = new RunningJob(deliveries, crashes);
    const run: Run<T> = { items, job, startedMs: 0, deadline: deadlineOf(this.options), over: false };
    this.runs.add(run);
    if (timeoutMs !== Infinity && this.runs.size === 1) this.timeouts.set(run.deadline);
    try {
      const given = batch === undefined ? items[0]!.item : items.map(({ item }) => item);
      const outcome = traceJob(this.queue, job, () => this.handler(given, job));
      if (isThenable(outcome)) {
        run.startedMs = performance.now();
        return this.follow(run, Promise.resolve(outcome));
      }
    } catch (error) {
      if (this.leave(run)) this.outcomes.failed(run, error);
      return;
    }
    if (this.leave(run)) this.outcomes.succeeded(run);
  }

  private follow(run: Run<T>, outcome: Promise<void>): void {
    outcome.then(
      () => {
        if (this.leave(run)) this.outcomes.succeeded(run);
        this.outcomes.changed();
      },
      (error: unknown) => {
        if (this.leave(run)) this.outcomes.failed(run, error);
        this.outcomes.changed();
      },
    );
  }

  /** Whatever the handlers still do. */
  breakAll(reason: unknown): void {
    for (const run of [...this.runs]) {
      this.leave(run);
      this.outcomes.broken(run);
      run.job.abort(reason);
    }
  }

  cancel(): void {
    this.timeouts.cancel();
  }

  private leave(run: Run<T>): boolean {
    if (run.over) return false;
    run.over = true;
    this.runs.delete(run);
    // It would keep the process alive with nothing to wait for.
    if (this.runs.size === 0) this.timeouts.cancel();
    return true;
  }

  private timeOut(): void {
    const now = performance.now();
    for (const run of this.runs) {
      if (run.deadline > now) {
        this.timeouts.set(run.deadline);
        break;
      }
      const error = new QueueTimeoutError(
        `The handler took longer than its timeoutMs of ${this.options.timeoutMs} ms.`,
      );
      this.leave(run);
      this.outcomes.failed(run, error);
      run.job.abort(error);
    }
    this.outcomes.changed();
  }
}
