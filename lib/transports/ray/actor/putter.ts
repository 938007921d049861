/** Puts, in order: one call under way at a time, which takes along everything that waits. */
import {
  ItemTooLargeError,
  QueueClosedError,
  QueueFullError,
  QueueShutDownError,
  SerializationError,
} from '../../../errors';
import type { Wait } from '../../../wait/options';
import { withoutOutcome, withUnknownOutcome } from '../errors';
import { type ActorSession, statusOf } from './actor-session';
import { ActorCall, type CallOwner, unanswered } from './pending-call';
import { PickleError, PyFloat, type PyFragment } from '../pickle/types';
import { writeFragment } from '../pickle/write';

const MAX_BATCH = 1000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
export const MAX_ITEM_BYTES = 256 * 1024 * 1024;
/** The longest that a call waits on the cluster's side. */
export const LONGEST_CALL_MS = 10_000;

/** Puts of one call: they go in in their order, and none behind one that did not. */
export class PutGroup {
  /** Why one did not. */
  failed: { readonly error: unknown } | undefined;
}

/** A put ends with an error that says what became of its item. */
export class ActorPut extends ActorCall<void> {
  constructor(
    readonly fragment: PyFragment,
    wait: Wait,
    owner: CallOwner,
    private readonly group?: PutGroup,
  ) {
    super(wait, owner);
  }

  /** Fails where one before it in its group has. */
  failWithGroup(): void {
    const failed = this.group?.failed;
    if (failed !== undefined && !this.settled) this.fail(failed.error);
  }

  protected override noAnswer(): Error {
    return this.sent ? unanswered('put', this.waitedMs(), { outcome: 'unknown' }) : super.noAnswer();
  }

  override fail(error: unknown): void {
    const told = this.sent ? withUnknownOutcome(error) : withoutOutcome(error);
    if (this.group !== undefined) this.group.failed ??= { error: this.isAborted ? this.wait.signal?.reason : told };
    super.fail(told);
  }
}

/** @throws SerializationError, ItemTooLargeError */
export function encodeItem(item: unknown): PyFragment {
  try {
    return writeFragment(item, { maxBytes: MAX_ITEM_BYTES });
  } catch (cause) {
    if (!(cause instanceof PickleError)) throw cause;
    if (/takes more than/.test(cause.message)) {
      throw new ItemTooLargeError(
        `The item takes more than ${MAX_ITEM_BYTES} bytes, the most that is sent to Ray in one piece.`,
        { cause },
      );
    }
    throw new SerializationError(`${cause.message} See the table of values in docs/ray.md.`, { cause });
  }
}

export class Putter implements CallOwner {
  readonly what = 'put';
  private line: ActorPut[] = [];
  /** Those of the call under way, which are not in the line. */
  private batch: ActorPut[] = [];
  /** Number of the next item; the actor applies each number once. */
  private next = 0;
  private underWay: { call: number; waits: boolean; cancelled: boolean } | undefined;
  private running: Promise<void> | undefined;
  private closed = false;

  constructor(
    private readonly connection: ActorSession,
    readonly answerMs: number,
  ) {}

  put(item: unknown, wait: Wait, group?: PutGroup): Promise<void> {
    if (this.closed) throw new QueueClosedError();
    const put = new ActorPut(encodeItem(item), wait, this, group);
    this.line.push(put);
    // One that does not wait must not stand behind a call that waits for room.
    if (put.immediate) this.cancelUnderWay();
    this.running ??= Promise.resolve().then(() => this.run());
    return put.promise;
  }

  private full(): QueueFullError {
    return new QueueFullError(
      `The queue holds its maxsize of ${this.connection.maxsize} items (items on lease included).`,
    );
  }

  interrupt(): void {
    this.dismiss();
    if ([...this.batch, ...this.line].some((put) => put.isLate || put.isAborted)) this.cancelUnderWay();
  }

  private cancelUnderWay(): void {
    if (this.underWay === undefined || !this.underWay.waits || this.underWay.cancelled) return;
    this.underWay.cancelled = true;
    this.connection.cancel(this.underWay.call);
  }

  /** Aborted ones that are not on their way leave. Late ones stay: only the actor can say that there is no room. */
  private dismiss(): void {
    for (const put of this.line) {
      if (put.isAborted && !put.settled) put.fail(undefined);
      put.failWithGroup();
    }
    this.line = this.line.filter((put) => !put.settled);
  }

  private async run(): Promise<void> {
    try {
      for (;;) {
        this.dismiss();
        if (this.line.length === 0) return;
        if (this.closed) return this.fail(new QueueClosedError());
        try {
          await this.send();
        } catch (error) {
          this.fail(error);
        }
      }
    } finally {
      this.running = undefined;
      if (this.line.length > 0) this.running = Promise.resolve().then(() => this.run());
    }
  }

  private fail(error: unknown): void {
    const puts = [...this.batch, ...this.line];
    this.batch = [];
    this.line = [];
    for (const put of puts) if (!put.settled) put.fail(error);
  }

  /** Out of the line. */
  private takeBatch(): ActorPut[] {
    let bytes = 0;
    let count = 0;
    for (const put of this.line) {
      if (count === MAX_BATCH || (count > 0 && bytes + put.fragment.bytes.length > MAX_BATCH_BYTES)) break;
      bytes += put.fragment.bytes.length;
      count++;
    }
    return this.line.splice(0, count);
  }

  private async send(): Promise<void> {
    await this.connection.ready();
    this.dismiss();
    if (this.line.length === 0 || this.closed) return;
    // After a call whose outcome stayed unknown its numbers may be taken; they must not be given to other items.
    this.next = Math.max(this.next, this.connection.applied);
    const waits = !this.line.some((put) => put.isLate);
    const batch = (this.batch = this.takeBatch());
    const call = this.connection.nextCall();
    this.underWay = { call, waits, cancelled: false };
    const items = batch.map((put) => put.fragment);
    const args = [call, this.next, items, new PyFloat(waits ? LONGEST_CALL_MS / 1000 : 0)];
    let answer: { status: string; rest: unknown };
    try {
      answer = statusOf(
        await this.connection.settlingCall('sage_put', () => {
          for (const put of batch) put.sent = true;
          return args;
        }),
      );
    } finally {
      this.underWay = undefined;
    }
    const accepted = Math.min(Number(answer.rest), batch.length);
    this.next += accepted;
    for (const put of batch.slice(0, accepted)) if (!put.settled) put.resolve();
    const refused = batch.slice(accepted);
    // The actor has answered: they are not in, and nothing of them is on its way.
    for (const put of refused) put.sent = false;
    this.batch = [];
    this.line = [...refused, ...this.line].filter((put) => !put.settled);
    if (answer.status === 'shut') this.fail(new QueueShutDownError('The queue was shut down and takes no more items.'));
    else if (refused.length > 0) this.leaveFull();
  }

  /** There is no room for the first of them, hence for none. */
  private leaveFull(): void {
    for (const put of this.line) if (put.isLate) put.fail(this.full());
    this.dismiss();
  }

  /** Puts that did not get in are refused; the one under way is waited for, so that each is told what became of it. */
  async close(): Promise<void> {
    this.closed = true;
    const { line } = this;
    this.line = [];
    for (const put of line) if (!put.settled) put.fail(new QueueClosedError());
    this.cancelUnderWay();
    await this.running;
  }

  /** What is still under way ends without an answer. */
  abort(): void {
    for (const put of this.batch) if (!put.settled) put.fail(unanswered('put', this.answerMs, { outcome: 'unknown' }));
  }
}
