/** How one handle takes and leases: one item or many, blocking the thread or awaited. */
import { CODEC_RAW, decodeItem } from '../../codec/registry';
import type { EncodedLeases } from '../../queue/encoded-source';
import { HeldBatch } from '../../queue/lease-batch';
import { LeaseRun } from '../../queue/lease-table';
import { tellRedelivered } from '../../queue/redelivered-channel';
import type { LeaseBatch, NativeLease } from '../../queue/types';
import { afterTurn, isTurnOver, refused } from '../../wait/fairness';
import { readMax, SYNC_WAIT_OPTIONS } from '../../wait/options';
import type { SyncWaitOptions, Wait, WaitOptions } from '../../wait/options';
import { EMPTY, REGISTER_CODEC, REGISTER_HOLDER, REGISTER_LENGTH, REGISTER_OFFSET, fromNative, native } from './addon';
import type { NativeEntry } from './native-entry';
import { block } from './blocking';
import { waitOf } from './attachment';
import type { AttachedQueue } from './attachment';
import { LeasedItems, lendEncoded, ShmLease } from './leases';
import type { ReceiveBuffer } from './receive-buffer';
import { emptyError, refuseGet } from './status-errors';
import type { WaitList } from './wait-list';

/** Lent encoded at a time: each put and each lease looks at every lease that is open. */
const MOST_LENT = 128;

/** An awaited call that moved items; for one that has waited, whose promise takes either, there is no promise more. */
const inTurn = <R>(value: R, moved: number): R | Promise<R> => (isTurnOver(moved) ? afterTurn(value) : value);

/**
 * The answer that is there at once.
 *
 * Before V8 gives a promise an object, it searches that and all its prototypes for a `then`: 30 ns, 50 in a Buffer. Where it sees the same few shapes
 * come by at the look before it, it knows that they have none, and leaves the search out; of Buffers from Node 22 on. Bytes have a look of
 * their own, since one shape too many costs the others theirs.
 */
const answered = <R>(value: R, moved: number): Promise<R> => {
  if (isTurnOver(moved)) return afterTurn(value);
  if (typeof value !== 'object' || value === null) return Promise.resolve(value);
  void (value as { then?: unknown }).then;
  return Promise.resolve(value);
};
const answeredBytes = (bytes: Buffer): Promise<Buffer> => {
  if (isTurnOver(1)) return afterTurn(bytes);
  void bytes.length;
  return Promise.resolve(bytes);
};

export class GetCalls<T> {
  private readonly native: NativeEntry;
  private readonly receiveBuffer: ReceiveBuffer;
  private readonly line: WaitList;
  private readonly holder: number;

  constructor(private readonly queue: AttachedQueue) {
    const { entry, holder } = queue.attachment;
    this.native = entry.native;
    this.receiveBuffer = entry.receiveBuffer;
    this.line = entry.consumers;
    this.holder = holder;
  }

  // ── synchronous ──────────────────────────────────────────────────────────

  getSync(options?: SyncWaitOptions): T {
    if (options === undefined && this.queue.attachment.isOpen) {
      // The way of most calls, without a closure: something is there.
      let status: number | undefined;
      try {
        status = this.getNow();
      } catch (error) {
        throw fromNative(error);
      }
      if (status === undefined) return this.takeReceived();
      const outcome = this.receiveBuffer.received<T>(this.queue, status);
      if (outcome !== undefined) return outcome.value;
    }
    return block(this.queue, 'get', options, emptyError, (waitMs) => this.receiveBuffer.get<T>(this.queue, waitMs))
      .value;
  }

  /** A status; undefined: an item came, for takeReceived(). Throws what the addon does. */
  private getNow(): number | undefined {
    this.receiveBuffer.ready();
    const { registers } = this.native;
    registers[REGISTER_OFFSET] = this.receiveBuffer.offset;
    registers[REGISTER_HOLDER] = this.holder;
    return this.native.getNow();
  }

  private takeReceived(): T {
    const { registers } = this.native;
    return this.receiveBuffer.take<T>(registers[REGISTER_LENGTH]!, registers[REGISTER_CODEC]!);
  }

  getManySync(max: number, options?: SyncWaitOptions): T[] {
    this.queue.check();
    if (readMax(max, 'getManySync') === 0) {
      waitOf(this.queue, options, SYNC_WAIT_OPTIONS);
      return [];
    }
    return this.fillUp(
      block(this.queue, 'get', options, emptyError, (waitMs) => this.tryGetMany(max, waitMs)),
      max,
    );
  }

  peekSync(): { item: T } | undefined {
    this.queue.check();
    const bytes = native(() => this.native.peek());
    if (bytes === undefined) return undefined;
    const codec = this.native.registers[REGISTER_CODEC]!;
    return { item: decodeItem(codec, bytes, 0, bytes.length, 'It is still in the queue') as T };
  }

  leaseSync(options?: SyncWaitOptions): NativeLease<T> {
    return block(this.queue, 'get', options, emptyError, (waitMs) => this.tryLease(waitMs)).value;
  }

  // ── asynchronous ─────────────────────────────────────────────────────────

  get(options?: WaitOptions): Promise<T> {
    try {
      const wait = waitOf(this.queue, options);
      const status = this.line.isTaken ? EMPTY : this.getNow();
      if (status !== undefined) return this.getLater(status, wait);
      if (this.native.registers[REGISTER_CODEC] !== CODEC_RAW) return answered<T>(this.takeReceived(), 1);
    } catch (error) {
      return refused(fromNative(error));
    }
    // Outside the try block, as in block().
    return answeredBytes(this.receiveBuffer.take(this.native.registers[REGISTER_LENGTH]!, CODEC_RAW)) as Promise<T>;
  }

  /** As get(), of what is there now; undefined: nothing is, or somebody waits for it. */
  takeAtHand(): IteratorYieldResult<T> | undefined {
    this.queue.check();
    if (this.line.isTaken) return undefined;
    let status: number | undefined;
    try {
      status = this.getNow();
    } catch (error) {
      throw fromNative(error);
    }
    if (status === undefined) return { done: false, value: this.takeReceived() };
    const outcome = this.receiveBuffer.received<T>(this.queue, status);
    return outcome && { done: false, value: outcome.value };
  }

  private getLater(status: number, wait: Wait): Promise<T> {
    const outcome = this.receiveBuffer.received<T>(this.queue, status);
    if (outcome !== undefined) return answered(outcome.value, 1);
    if (wait.timeoutMs === 0) throw emptyError();
    return this.line
      .add(this.queue.attachment.calls, wait, emptyError, () => this.receiveBuffer.get<T>(this.queue, 0))
      .then((item) => inTurn(item, 1));
  }

  /**
   * Takes what is there, or waits for it.
   * @param moved how many items that is
   */
  private consume<R>(wait: Wait, attempt: () => { value: R } | undefined, moved: (value: R) => number): Promise<R> {
    const outcome = this.line.isTaken ? undefined : attempt();
    if (outcome !== undefined) return answered(outcome.value, moved(outcome.value));
    if (wait.timeoutMs === 0) throw emptyError();
    return this.line
      .add(this.queue.attachment.calls, wait, emptyError, attempt)
      .then((value) => inTurn(value, moved(value)));
  }

  getMany(max: number, options?: WaitOptions): Promise<T[]> {
    try {
      const wait = waitOf(this.queue, options);
      if (readMax(max) === 0) return Promise.resolve([]);
      const attempt = (): { value: T[] } | undefined => {
        const items = this.tryGetMany(max, 0);
        return items && { value: this.fillUp(items, max) };
      };
      return this.consume(wait, attempt, ({ length }) => length);
    } catch (error) {
      return refused(error);
    }
  }

  lease(options?: WaitOptions): Promise<NativeLease<T>> {
    try {
      const wait = waitOf(this.queue, options);
      return this.consume(
        wait,
        () => this.tryLease(0),
        () => 1,
      );
    } catch (error) {
      return refused(error);
    }
  }

  private tryLease(waitMs: number): { value: NativeLease<T> } | undefined {
    const items: T[] = [];
    const held = new LeasedItems(this.queue, this.native);
    if (!this.leaseInto(items, held, 1, waitMs)) return undefined;
    const value = new ShmLease(items[0]!, held);
    tellRedelivered(this.queue.descriptor, { leases: [value] });
    return { value };
  }

  leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    try {
      const wait = waitOf(this.queue, options);
      const items: T[] = [];
      const held = new LeasedItems(this.queue, this.native);
      const batch = (): LeaseBatch<T> => new HeldBatch(items, new LeaseRun(items.length, held));
      if (readMax(max, 'leaseMany') === 0) return Promise.resolve(batch());
      const attempt = (): { value: LeaseBatch<T> } | undefined => {
        if (!this.tryLeaseMany(items, held, max)) return undefined;
        const value = batch();
        tellRedelivered(this.queue.descriptor, value);
        return { value };
      };
      return this.consume(wait, attempt, () => items.length);
    } catch (error) {
      return refused(error);
    }
  }

  /** Leases what comes within `waitMs`, of one batch and up to `max` items in all. False: nothing does. */
  private leaseInto(items: T[], held: LeasedItems, max: number, waitMs: number): boolean {
    const status = this.receiveBuffer.leaseMany(this.queue, items, held, max, waitMs);
    refuseGet(status);
    return status > 0;
  }

  /** Leases what is there, up to `max` items. False: nothing. */
  private tryLeaseMany(items: T[], held: LeasedItems, max: number): boolean {
    if (!this.leaseInto(items, held, max, 0)) return false;
    while (items.length < max && this.receiveBuffer.leaseMany(this.queue, items, held, max, 0) > 0);
    return true;
  }

  lendEncoded(max: number, maxBytes: number): EncodedLeases | undefined {
    this.queue.check();
    if (this.line.isTaken) return undefined;
    const leases = lendEncoded(this.queue, this.native, Math.min(max, MOST_LENT), maxBytes);
    return leases?.run.count === MOST_LENT ? { ...leases, more: true } : leases;
  }

  /** What is there, of one batch and up to `max` items. Undefined: nothing. */
  private tryGetMany(max: number, waitMs: number): T[] | undefined {
    const items = this.receiveBuffer.getMany<T>(this.queue, max, waitMs);
    if (typeof items === 'object') return items;
    refuseGet(items);
    return undefined;
  }

  /** Adds what is there without waiting, up to `max` items in all. That the queue is shut down is for the next call to say. */
  private fillUp(items: T[], max: number): T[] {
    while (
      items.length < max &&
      this.queue.attachment.isOpen &&
      this.receiveBuffer.addMany(this.queue, items, max) > 0
    );
    return items;
  }
}
