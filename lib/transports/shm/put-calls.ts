/** How one handle puts: one item or many, blocking the thread or awaited. */
import { encodeItemSpan, isPlainBytes } from '../../codec/registry';
import type { ItemCodec, ItemSpan } from '../../codec/registry';
import { withAccepted } from '../../queue/base-queue';
import { putItemsInLine, putManyInLine } from '../../queue/put-many';
import type { EnterLine, PutStep } from '../../queue/put-many';
import { trueLengthOf } from '../../util/built-ins';
import { describeValue } from '../../util/describe-value';
import { deadlineOf } from '../../wait/deadline';
import { isTurnOver, nextTurn, refused } from '../../wait/fairness';
import { KEEP_BYTES } from '../../codec/msgpack/output';
import { SYNC_WAIT_OPTIONS } from '../../wait/options';
import type { SyncWaitOptions, Wait, WaitOptions } from '../../wait/options';
import { waitOf } from './attachment';
import type { AttachedQueue } from './attachment';
import {
  REGISTER_CODEC,
  REGISTER_LENGTH,
  REGISTER_OFFSET,
  REGISTER_TABLE,
  TOO_LARGE,
  fromNative,
  native,
  registers,
} from './addon';
import type { NativeEntry } from './native-entry';
import { blockUntil } from './blocking';
import type { SegmentEntry } from './entry';
import { ArrayPut, BatchPacker } from './put-batch';
import { owned } from './send-buffer';
import { fullError, refusePut } from './status-errors';
import type { WaitList } from './wait-list';

/** Larger items are not worth the copy. */
const SMALL_BYTES = 256;
/** Where the addon looks for a small one: what calls leave in the table is read, or copied, before any other is made. */
const tableBytes = new Uint8Array(registers.buffer, 4 * REGISTER_TABLE, SMALL_BYTES);
/** Loaded once, since V8 looks methods of typed arrays up at each call. */
const { set } = Uint8Array.prototype;

/** What every put that is accepted at once returns. */
const ACCEPTED = Promise.resolve();

export class PutCalls<T> {
  private readonly entry: SegmentEntry;
  private readonly native: NativeEntry;
  private readonly line: WaitList;
  private readonly packer: BatchPacker;
  private readonly capacityBytes: number;

  constructor(
    private readonly queue: AttachedQueue,
    private readonly codec: ItemCodec,
  ) {
    const { entry } = queue.attachment;
    this.entry = entry;
    this.native = entry.native;
    this.line = entry.producers;
    this.packer = new BatchPacker(queue, codec);
    this.capacityBytes = entry.configuration.capacityBytes;
  }

  /** Bytes that go in as they are. Empty ones take the way of other items, where it shows whether their memory is still theirs. */
  private isRaw(item: unknown): item is Uint8Array {
    return this.codec === 'auto' && isPlainBytes(item) && trueLengthOf(item) > 0;
  }

  /** Runs what the user registered or wrote: a codec, an item's getters. They may close the handle. */
  private encode(item: T): ItemSpan {
    const span = encodeItemSpan(item, this.codec);
    this.queue.check();
    return span;
  }

  /**
   * The one way in for an item: raw or encoded, blocking or awaited. Undefined: it went in. Otherwise the item as it was encoded, once, which is
   * good until anything else is encoded. Throws what the addon does: no closure stands in the way of most calls.
   */
  private tryPut(item: T): ItemSpan | undefined {
    // The way of most calls: bytes, and there is room.
    if (this.isRaw(item) && this.putRaw(item) === undefined) return undefined;
    const span = this.encode(item);
    // And objects, in memory that the addon knows.
    if (isOfKeptMemory(span) && this.putEncoded(span) === undefined) return undefined;
    return this.tryPutBytes(span, 0) ? undefined : span;
  }

  /** A status, where it did not go in now. So few bytes are copied in less time than the addon asks for their memory. */
  private putRaw(item: Uint8Array): number | undefined {
    const length = trueLengthOf(item);
    if (length > SMALL_BYTES) return this.native.putRaw(item);
    set.call(tableBytes, item);
    this.native.registers[REGISTER_LENGTH] = length;
    return this.native.putSmall();
  }

  /** A status, where it did not go in now. */
  private putEncoded({ buffer, start, end, codecId }: ItemSpan): number | undefined {
    this.entry.useEncoderMemory(buffer);
    const { registers } = this.native;
    registers[REGISTER_OFFSET] = start;
    registers[REGISTER_LENGTH] = end - start;
    registers[REGISTER_CODEC] = codecId;
    return this.native.putEncoded();
  }

  private tryPutBytes({ buffer, start, end, codecId }: ItemSpan, waitMs: number): boolean {
    const status = this.native.put(buffer, start, end, codecId, waitMs);
    if (status === 0) return true;
    refusePut(status, end - start, this.capacityBytes);
    return false;
  }

  /** For an item that has to wait: its owner, or the encoder, may use those bytes again. @throws ItemTooLargeError */
  private ownSpan(span: ItemSpan): ItemSpan {
    const { codecId, bytes } = owned(span);
    if (bytes.length > this.capacityBytes) refusePut(TOO_LARGE, bytes.length, this.capacityBytes);
    return { codecId, buffer: bytes, start: 0, end: bytes.length, isEncoders: false };
  }

  // ── synchronous ──────────────────────────────────────────────────────────

  putSync(item: T, options?: SyncWaitOptions): void {
    const deadline = deadlineOf(waitOf(this.queue, options, SYNC_WAIT_OPTIONS));
    let span: ItemSpan | undefined;
    try {
      span = this.tryPut(item);
    } catch (error) {
      throw fromNative(error);
    }
    if (span !== undefined) this.putWithin(span, deadline);
  }

  /** Apart from putSync(), where its closures would cost the calls that find room, too. */
  private putWithin(span: ItemSpan, deadline: number): void {
    const attempt = (waitMs: number): true | undefined => native(() => this.tryPutBytes(span, waitMs)) || undefined;
    if (blockUntil(this.queue, 'put', deadline, attempt) === undefined) throw fullError();
  }

  putManySync(items: readonly T[], options?: SyncWaitOptions): number {
    this.queue.check();
    if (!Array.isArray(items)) {
      throw new TypeError(`putManySync takes an array, found ${describeValue(items)}. putMany takes other iterables.`);
    }
    const deadline = deadlineOf(waitOf(this.queue, options, SYNC_WAIT_OPTIONS));
    const put = new ArrayPut(this.packer, items);
    const attempt = (waitMs: number): number | undefined => put.step(waitMs) || undefined;
    try {
      while (!put.isDone) {
        if (attempt(0) !== undefined) continue;
        // After the wait others are served, which may use the send buffer.
        if (this.entry.isWaitedFor) put.own();
        if (blockUntil(this.queue, 'put', deadline, attempt) === undefined) throw fullError();
      }
    } catch (error) {
      throw withAccepted(error, put.accepted);
    }
    return put.accepted;
  }

  // ── asynchronous ─────────────────────────────────────────────────────────

  // Not async functions where most answers are there at once: they would cost more than the rest of the call.

  put(item: T, options?: WaitOptions): Promise<void> {
    try {
      const wait = waitOf(this.queue, options);
      const { line } = this;
      if (line.isTaken && (wait.timeoutMs !== 0 || line.isWanted)) return this.putLater(item, wait);
      const span = this.tryPut(item);
      if (span !== undefined) return this.putLater(item, wait, span);
      return isTurnOver(1) ? nextTurn() : ACCEPTED;
    } catch (error) {
      return refused(fromNative(error));
    }
  }

  /** @param span the item, where it is encoded already */
  private putLater(item: T, wait: Wait, span?: ItemSpan): Promise<void> {
    if (wait.timeoutMs === 0) throw fullError();
    const waiting = this.ownSpan(span ?? this.encode(item));
    wait.signal?.throwIfAborted(); // by the encoding
    const attempt = (): { value: number } | undefined =>
      native(() => this.tryPutBytes(waiting, 0)) ? { value: 1 } : undefined;
    return this.line
      .add(this.queue.attachment.calls, wait, fullError, attempt)
      .then((moved) => (isTurnOver(moved) ? nextTurn() : undefined));
  }

  async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = waitOf(this.queue, options);
    const { line } = this;
    const group = this.queue.attachment.calls;
    const serve = (): void => line.rung();
    const check = (): void => {
      wait.signal?.throwIfAborted();
      this.queue.check();
    };
    const enter: EnterLine = ({ wait: ownWait, attempt, late, mayPass }) => {
      // Named one by one, as in MemoryQueue.enter().
      const request = { wait: ownWait, attempt, late, mayPass, group };
      if (line.isTaken && (wait.timeoutMs !== 0 || line.isWanted)) {
        if (wait.timeoutMs === 0) throw fullError();
        return line.enter(request);
      }
      const outcome = attempt();
      if (typeof outcome === 'object') return outcome.value;
      check(); // the source and the encoding may have ended the call
      return line.enter(request, outcome);
    };
    if (Array.isArray(items)) {
      const put = new ArrayPut(this.packer, items);
      const step = (): PutStep => {
        check();
        if (put.isDone) return 'done';
        return put.step(0) > 0 ? 'more' : 'full';
      };
      const own = (): void => put.own();
      const accepted = (): number => put.accepted;
      return putManyInLine(wait, { accepted, step, full: fullError, serve, own }, enter);
    }
    let span: ItemSpan | undefined;
    const tryPut = (item: T): boolean => {
      const waiting = span;
      if (waiting === undefined) span = native(() => this.tryPut(item));
      else if (native(() => this.tryPutBytes(waiting, 0))) span = undefined;
      return span === undefined;
    };
    const own = (): void => {
      if (span !== undefined) span = this.ownSpan(span);
    };
    return putItemsInLine(wait, items, { check, tryPut, full: fullError, serve, own }, enter);
  }
}

/** Of the memory that the encoder uses for one item after the other. Of what was transferred away nothing is left, which put() finds. */
const isOfKeptMemory = ({ isEncoders, buffer, end }: ItemSpan): boolean =>
  isEncoders && end <= buffer.length && buffer.length <= KEEP_BYTES;
