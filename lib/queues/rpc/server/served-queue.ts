/** One queue behind the server: items in and out of it in their wire form, and what is known of its clients. */
import { decodeItem, encodeItem } from '../../../codec';
import { QueueEmptyError, SerializationError } from '../../../errors';
import type { Lease, NativeQueue, Queue } from '../../../queue';
import type { LeaseRun, StoreQueue } from '../../../store-queue';
import { BATCH_BYTES } from '../protocol';
import type { Encoded, QueryResult } from '../protocol';
import type { ClientRecords } from './records';

/** An item on loan to a session. */
export interface Loan {
  item: Encoded;
  deliveries: number;
  ack(): void | Promise<void>;
  release(): void | Promise<void>;
}

/** Items that are taken at once before their size is looked at. */
const RUN = 256;

class RunLoan implements Loan {
  readonly item: Encoded;
  constructor(
    private readonly run: LeaseRun<unknown>,
    private readonly entry: LeaseRun<unknown>['entries'][number],
  ) {
    this.item = encodeItem(entry.item);
  }
  get deliveries(): number {
    return this.entry.deliveries;
  }
  ack(): void {
    this.run.ack(this.entry);
  }
  release(): void {
    this.run.release(this.entry);
  }
}

export class ServedQueue {
  sessions = 0;
  /** A client has shut it down: once nobody is attached, the next one to come starts anew. */
  shutDown = false;
  /** Items that came back from clients after they had been settled: first to go out again. */
  private readonly front: Encoded[] = [];
  private readonly nudges = new Set<() => void>();

  constructor(
    readonly queueId: string,
    readonly queue: Queue,
    /** Whether the server made the handle and so closes it. */
    readonly owned: boolean,
    readonly clients: ClientRecords,
  ) {}

  /** Puts in order. @returns how many went in, and why not all. */
  async put(
    items: readonly Encoded[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<{ applied: number; error?: unknown }> {
    const values: unknown[] = [];
    let bad: { error: unknown } | undefined;
    for (const item of items) {
      try {
        values.push(decodeItem(item.codecId, item.bytes));
      } catch (error) {
        bad = { error };
        break;
      }
    }
    const wait = { timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs, signal };
    try {
      if (values.length === 1) await this.queue.put(values[0], wait);
      else if (values.length > 0) await this.queue.putMany(values, wait);
    } catch (error) {
      return { applied: values.length === 1 ? 0 : ((error as { accepted?: number }).accepted ?? 0), error };
    }
    return bad === undefined ? { applied: values.length } : { applied: values.length, error: bad.error };
  }

  /** Takes these back ahead of everything. */
  restore(items: readonly Encoded[]): void {
    this.front.unshift(...items);
    for (const nudge of [...this.nudges]) nudge();
  }

  /** `nudge` is called when there is something in front that a waiting take does not see. */
  watchFront(nudge: () => void): () => void {
    this.nudges.add(nudge);
    return () => this.nudges.delete(nudge);
  }

  /** Waits for one item, then takes what is there: at most `max`, and not much more than a batch of bytes. */
  async take(max: number, timeoutMs: number, signal: AbortSignal): Promise<{ loans: Loan[]; more: boolean }> {
    const loans: Loan[] = [];
    while (this.front.length > 0 && loans.length < max) loans.push(this.lendFront(this.front.shift()!));
    if (loans.length > 0) return { loans, more: loans.length < max };
    let bytes = 0;
    const add = (lease: Lease<unknown>): void => {
      const loan = this.lend(lease);
      loans.push(loan);
      bytes += loan.item.bytes.byteLength;
    };
    try {
      add(await this.queue.lease({ timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs, signal }));
    } catch (error) {
      const raw = this.undecodable(error);
      if (raw === undefined) throw error;
      return { loans: [raw], more: true };
    }
    if (loans.length === max) return { loans, more: false };
    // Asking beforehand costs less than the error of a lease that finds nothing.
    let left = await this.queue.qsize();
    const { leaseSync } = this.queue as Partial<NativeQueue>;
    try {
      if (typeof (this.queue as Partial<StoreQueue>).leaseRun === 'function') {
        // Queues of this process: in runs, which costs a fraction.
        while (loans.length < max && bytes < BATCH_BYTES && left > 0) {
          const run = (this.queue as StoreQueue).leaseRun(Math.min(RUN, max - loans.length));
          if (run.entries.length === 0) break;
          left -= run.entries.length;
          for (const entry of run.entries) {
            const loan = new RunLoan(run, entry);
            bytes += loan.item.bytes.byteLength;
            loans.push(loan);
          }
        }
      }
      while (loans.length < max && bytes < BATCH_BYTES && left-- > 0) {
        add(
          leaseSync === undefined
            ? await this.queue.lease({ block: false })
            : leaseSync.call(this.queue, { block: false }),
        );
      }
    } catch (error) {
      // Empty: another getter was quicker. Any other error comes again at the next take.
      const raw = this.undecodable(error);
      if (raw !== undefined) loans.push(raw);
      else if (!(error instanceof QueueEmptyError)) return { loans, more: false };
    }
    return { loans, more: bytes >= BATCH_BYTES && left > 0 };
  }

  async query(): Promise<QueryResult> {
    const stats = await this.queue.stats();
    const qsize = stats.qsize + this.front.length;
    return {
      qsize,
      maxsize: stats.maxsize,
      full: await this.queue.full(),
      putTotal: stats.putTotal,
      getTotal: stats.getTotal,
      waitingGetters: stats.waitingGetters,
      waitingPutters: stats.waitingPutters,
      redelivered: stats.redelivered,
    };
  }

  /** Lets go of the queue; what lies in front goes back into it. */
  async close(): Promise<void> {
    for (const item of this.front.splice(0))
      await this.queue.put(decodeItem(item.codecId, item.bytes), { block: false });
    if (this.owned) await this.queue.close();
  }

  private lend(lease: Lease<unknown>): Loan {
    const native = lease as Lease<unknown> & { ackSync?(): void; releaseSync?(): void };
    return {
      item: encodeItem(lease.item),
      deliveries: lease.deliveries,
      ack: () => (native.ackSync === undefined ? lease.ack() : native.ackSync()),
      release: () => (native.releaseSync === undefined ? lease.release() : native.releaseSync()),
    };
  }

  private lendFront(item: Encoded): Loan {
    return { item, deliveries: 2, ack: () => {}, release: () => this.restore([item]) };
  }

  /** An item that this process cannot read travels as it lies: the client may have the codec. */
  private undecodable(error: unknown): Loan | undefined {
    if (!(error instanceof SerializationError) || error.bytes === undefined || error.codecId === undefined)
      return undefined;
    const item = { codecId: error.codecId, bytes: error.bytes };
    return { item, deliveries: 1, ack: () => {}, release: () => this.restore([item]) };
  }
}
