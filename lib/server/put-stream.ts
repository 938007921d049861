/** The puts of one session: into the queue in order, one batch at a time, each number once. */
import { QueueConnectionError, QueueError, QueueFullError } from '../errors';
import { CANCELLED, toNumber } from '../transports/rpc/wire/protocol';
import { ItemBatch } from '../transports/rpc/wire/item-batch';
import type { Put, Range } from '../transports/rpc/wire/protocol';
import type { FrameWriter } from './frame-writer';
import { RequestDeadline } from './request-deadline';
import type { ClientState } from './client-state';
import type { ServedQueue } from './served-queue';

/** Failed groups that are remembered; a client has a few under way at most. */
const MOST_FAILED_GROUPS = 64;

interface PutBatch {
  sequence: number;
  items: ItemBatch;
  group: number;
  deadline: RequestDeadline;
  cancelled: Set<number> | undefined;
}

export class PutStream {
  private readonly batches: PutBatch[] = [];
  /** From which number on nothing more of a group goes in. */
  private readonly failedGroups = new Map<number, number>();
  private active: AbortController | undefined;
  private working: Promise<void> | undefined;
  private progress = 0;
  private ended = false;
  private stopping: QueueError | undefined;
  /** Items that were received and not answered, and their bytes. */
  pending = 0;
  pendingBytes = 0;

  constructor(
    private readonly served: ServedQueue,
    private readonly client: ClientState | undefined,
    private readonly writer: FrameWriter,
  ) {}

  /** @throws RangeError for a batch that contradicts itself */
  push(put: Put): void {
    const items = ItemBatch.fromWire(put.items).detached();
    const sequence = toNumber(put.sequence);
    if (sequence < 1) throw new RangeError('a put needs a sequence number from 1 on');
    if (items.count === 0) return;
    this.client?.knownPuts(toNumber(put.knownPuts));
    const batch: PutBatch = {
      sequence,
      items,
      group: toNumber(put.group),
      deadline: new RequestDeadline(put.waitMs),
      cancelled: undefined,
    };
    this.pending += items.count;
    this.pendingBytes += items.byteLength;
    this.batches.push(batch);
    if (this.batches.length > 1)
      batch.deadline.waitInLine(
        () => this.giveUp(batch),
        () => this.progress,
      );
    this.start();
  }

  cancel(range: Range): void {
    const first = toNumber(range.first);
    const end = first + toNumber(range.count);
    for (const [index, batch] of this.batches.entries()) {
      const from = Math.max(first, batch.sequence);
      const to = Math.min(end, batch.sequence + batch.items.count);
      for (let sequence = from; sequence < to; sequence++) (batch.cancelled ??= new Set()).add(sequence);
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
    for (const batch of this.batches) batch.deadline.clear();
    await this.working;
  }

  private start(): void {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.batches.length > 0 && !this.ended) this.start();
    });
  }

  private async work(): Promise<void> {
    while (this.batches.length > 0 && !this.ended) {
      const batch = this.batches[0]!;
      batch.deadline.clear();
      await this.step(batch);
      if (this.batches[0] === batch && batch.items.count === 0) this.batches.shift();
    }
  }

  /** Brings the batch nearer to its end: answers its first items, as many as share a fate. */
  private async step(batch: PutBatch): Promise<void> {
    if (batch.sequence > (this.failedGroups.get(batch.group) ?? Infinity)) {
      return this.reject(
        batch,
        batch.items.count,
        new QueueError(CANCELLED, 'an earlier item of the same putMany was not put'),
      );
    }
    if (batch.cancelled?.has(batch.sequence)) {
      let count = 1;
      while (batch.cancelled.has(batch.sequence + count)) count++;
      return this.reject(batch, count, new QueueError(CANCELLED, 'the put was given up'));
    }
    if (this.client?.wasApplied(batch.sequence)) return this.accept(batch, 1);
    let count = batch.items.count;
    if (batch.cancelled !== undefined || (this.client !== undefined && batch.sequence <= this.client.appliedThrough)) {
      count = 1;
      while (
        count < batch.items.count &&
        !batch.cancelled?.has(batch.sequence + count) &&
        !this.client?.wasApplied(batch.sequence + count)
      )
        count++;
    }
    const active = (this.active = new AbortController());
    const wait = this.stopping === undefined ? batch.deadline.remainingMs : 0;
    const { applied, error } = await this.served.put(batch.items.slice(0, count), wait, active.signal);
    this.active = undefined;
    if (applied > 0) this.accept(batch, applied);
    if (error === undefined || (active.signal.aborted && error === active.signal.reason)) return;
    if (error instanceof QueueFullError) this.reject(batch, batch.items.count, this.stopping ?? error);
    else if (batch.items.count > 0) this.reject(batch, 1, error);
  }

  private accept(batch: PutBatch, count: number): void {
    this.client?.applied(batch.sequence, count);
    this.writer.applied({ first: batch.sequence, count });
    this.advance(batch, count);
  }

  private reject(batch: PutBatch, count: number, error: unknown): void {
    if (batch.group !== 0) {
      this.failedGroups.set(batch.group, Math.min(batch.sequence, this.failedGroups.get(batch.group) ?? Infinity));
      if (this.failedGroups.size > MOST_FAILED_GROUPS) this.failedGroups.delete(this.failedGroups.keys().next().value!);
    }
    const known =
      error instanceof QueueError
        ? error
        : new QueueConnectionError(`the server could not put the item: ${(error as Error).message}`);
    this.writer.rejected({ puts: { first: batch.sequence, count }, code: known.code, message: known.message });
    this.advance(batch, count);
  }

  private advance(batch: PutBatch, count: number): void {
    this.progress += count;
    this.pending -= count;
    batch.sequence += count;
    const answered = batch.items.slice(0, count);
    this.pendingBytes -= answered.byteLength;
    batch.items = batch.items.slice(count);
  }

  /** Its time is over while others are still before it. */
  private giveUp(batch: PutBatch): void {
    const index = this.batches.indexOf(batch);
    if (index <= 0) return;
    this.reject(batch, batch.items.count, new QueueFullError());
    this.batches.splice(index, 1);
  }
}
