/** The puts of one session: into the queue in order, one run at a time, each number once. */
import { QueueConnectionError, QueueError, QueueFullError } from '../errors';
import { CANCELLED, toNumber } from '../transports/rpc/wire/protocol';
import { ItemBatch } from '../transports/rpc/wire/item-batch';
import type { Put, Range } from '../transports/rpc/wire/protocol';
import type { Outbox } from './frame-writer';
import { RequestDeadline } from './request-deadline';
import type { ClientRecord } from './client-state';
import type { ServedQueue } from './served-queue';

/** Failed groups that are remembered; a client has a few under way at most. */
const MOST_FAILED_GROUPS = 64;

interface Run {
  sequence: number;
  items: ItemBatch;
  group: number;
  front: boolean;
  deadline: RequestDeadline;
  cancelled: Set<number> | undefined;
}

export class PutPump {
  private readonly runs: Run[] = [];
  private readonly failedGroups = new Set<number>();
  private active: AbortController | undefined;
  private working: Promise<void> | undefined;
  private progress = 0;
  private ended = false;
  private stopping: QueueError | undefined;
  /** Items that were received and not answered. */
  pending = 0;

  constructor(
    private readonly served: ServedQueue,
    private readonly record: ClientRecord | undefined,
    private readonly outbox: Outbox,
  ) {}

  /** @throws RangeError for a batch that contradicts itself */
  push(put: Put): void {
    const items = ItemBatch.fromWire(put.items).detached();
    const sequence = toNumber(put.sequence);
    if (sequence < 1) throw new RangeError('a put needs a sequence number from 1 on');
    if (items.count === 0) return;
    this.record?.knownPuts(toNumber(put.knownPuts));
    const run: Run = {
      sequence,
      items,
      group: toNumber(put.group),
      front: put.front === true,
      deadline: new RequestDeadline(put.waitMs),
      cancelled: undefined,
    };
    this.pending += items.count;
    this.runs.push(run);
    if (this.runs.length > 1)
      run.deadline.standInLine(
        () => this.giveUp(run),
        () => this.progress,
      );
    this.start();
  }

  cancel(range: Range): void {
    const first = toNumber(range.first);
    const end = first + toNumber(range.count);
    for (const [index, run] of this.runs.entries()) {
      const from = Math.max(first, run.sequence);
      const to = Math.min(end, run.sequence + run.items.count);
      for (let sequence = from; sequence < to; sequence++) (run.cancelled ??= new Set()).add(sequence);
      if (index === 0 && to > from) this.active?.abort(new Error('cancelled'));
    }
  }

  /** From now on nothing waits for room. Resolves when all is answered. */
  async drain(error: QueueError): Promise<void> {
    this.stopping = error;
    this.active?.abort(new Error('stopping'));
    await this.working;
  }

  /** The stream is gone: what is not in the queue by now will not be. Resolves when that is certain. */
  async end(): Promise<void> {
    this.ended = true;
    this.active?.abort(new Error('stream ended'));
    for (const run of this.runs) run.deadline.clear();
    await this.working;
  }

  private start(): void {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.runs.length > 0 && !this.ended) this.start();
    });
  }

  private async work(): Promise<void> {
    while (this.runs.length > 0 && !this.ended) {
      const run = this.runs[0]!;
      run.deadline.clear();
      await this.step(run);
      if (this.runs[0] === run && run.items.count === 0) this.runs.shift();
    }
  }

  /** Brings the run nearer to its end: answers its first items, as many as share a fate. */
  private async step(run: Run): Promise<void> {
    if (run.group !== 0 && this.failedGroups.has(run.group)) {
      return this.reject(
        run,
        run.items.count,
        new QueueError(CANCELLED, 'an earlier item of the same putMany was not put'),
      );
    }
    if (run.cancelled?.has(run.sequence)) {
      let count = 1;
      while (run.cancelled.has(run.sequence + count)) count++;
      return this.reject(run, count, new QueueError(CANCELLED, 'the put was given up'));
    }
    if (this.record?.wasApplied(run.sequence)) return this.accept(run, 1);
    if (run.front) {
      this.served.restore(run.items);
      return this.accept(run, run.items.count);
    }
    let count = run.items.count;
    if (run.cancelled !== undefined || (this.record !== undefined && run.sequence <= this.record.appliedThrough)) {
      count = 1;
      while (
        count < run.items.count &&
        !run.cancelled?.has(run.sequence + count) &&
        !this.record?.wasApplied(run.sequence + count)
      )
        count++;
    }
    const active = (this.active = new AbortController());
    const wait = this.stopping === undefined ? run.deadline.remainingMs : 0;
    const { applied, error } = await this.served.put(run.items.slice(0, count), wait, active.signal);
    this.active = undefined;
    if (applied > 0) this.accept(run, applied);
    if (error === undefined || (active.signal.aborted && error === active.signal.reason)) return;
    if (error instanceof QueueFullError) this.reject(run, run.items.count, this.stopping ?? error);
    else if (run.items.count > 0) this.reject(run, 1, error);
  }

  private accept(run: Run, count: number): void {
    this.record?.applied(run.sequence, count);
    this.outbox.applied({ first: run.sequence, count });
    this.advance(run, count);
  }

  private reject(run: Run, count: number, error: unknown): void {
    if (run.group !== 0) {
      this.failedGroups.add(run.group);
      if (this.failedGroups.size > MOST_FAILED_GROUPS)
        this.failedGroups.delete(this.failedGroups.values().next().value!);
    }
    const known =
      error instanceof QueueError
        ? error
        : new QueueConnectionError(`the server could not put the item: ${(error as Error).message}`);
    this.outbox.rejected({ puts: { first: run.sequence, count }, code: known.code, message: known.message });
    this.advance(run, count);
  }

  private advance(run: Run, count: number): void {
    this.progress += count;
    this.pending -= count;
    run.sequence += count;
    run.items = run.items.slice(count);
  }

  /** Its time is over while others are still before it. */
  private giveUp(run: Run): void {
    const index = this.runs.indexOf(run);
    if (index <= 0) return;
    this.reject(run, run.items.count, new QueueFullError());
    this.runs.splice(index, 1);
  }
}
