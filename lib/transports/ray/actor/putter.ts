/** Puts, in order: one call under way at a time, which takes along everything that waits. */
import {
  ItemTooLargeError,
  QueueClosedError,
  QueueFullError,
  QueueShutDownError,
  SerializationError,
} from '../../../errors';
import type { Wait } from '../../../wait/options';
import { type ActorConnection, statusOf } from './actor-session';
import { ActorCall } from './pending-call';
import { PickleError, PyFloat, type PyFragment } from '../pickle/types';
import { writeFragment } from '../pickle/write';

const MAX_BATCH = 1000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
export const MAX_ITEM_BYTES = 256 * 1024 * 1024;
/** The longest that a call waits on the cluster's side. */
export const LONGEST_CALL_MS = 10_000;

class Put extends ActorCall<void> {
  constructor(
    readonly fragment: PyFragment,
    ...rest: ConstructorParameters<typeof ActorCall<void>>
  ) {
    super(...rest);
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

export class Writer {
  private line: Put[] = [];
  /** Number of the next item; the actor applies each number once. */
  private next = 0;
  private underWay: { call: number; waits: boolean; cancelled: boolean } | undefined;
  private running: Promise<void> | undefined;
  private closed = false;

  constructor(private readonly connection: ActorConnection) {}

  put(item: unknown, wait: Wait): Promise<void> {
    if (this.closed) throw new QueueClosedError();
    const fragment = encodeItem(item);
    const put = new Put(fragment, wait, () => this.full(), () => this.interrupt()); // prettier-ignore
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

  /** Somebody in the line wants to leave. Those in the call under way can only once it has answered. */
  private interrupt(): void {
    if (this.underWay === undefined) this.dismiss();
    else this.cancelUnderWay();
  }

  private cancelUnderWay(): void {
    if (this.underWay === undefined || !this.underWay.waits || this.underWay.cancelled) return;
    this.underWay.cancelled = true;
    this.connection.cancel(this.underWay.call);
  }

  private dismiss(): void {
    this.line = this.line.filter((put) => {
      if (put.reason !== undefined) put.fail(put.reason.error);
      return put.reason === undefined;
    });
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
    const line = this.line;
    this.line = [];
    for (const put of line) put.fail(put.reason === undefined ? error : put.reason.error);
  }

  private batch(): Put[] {
    let bytes = 0;
    let count = 0;
    for (const put of this.line) {
      if (count === MAX_BATCH || (count > 0 && bytes + put.fragment.bytes.length > MAX_BATCH_BYTES)) break;
      bytes += put.fragment.bytes.length;
      count++;
    }
    return this.line.slice(0, count);
  }

  private async send(): Promise<void> {
    await this.connection.ready();
    this.dismiss();
    if (this.line.length === 0 || this.closed) return;
    // After a call whose outcome stayed unknown its numbers may be taken; they must not be given to other items.
    this.next = Math.max(this.next, this.connection.applied);
    const batch = this.batch();
    const immediate = batch.some((put) => put.immediate);
    const waitMs = immediate ? 0 : LONGEST_CALL_MS;
    const call = this.connection.nextCall();
    this.underWay = { call, waits: !immediate, cancelled: false };
    const items = batch.map((put) => put.fragment);
    if (batch.some((put) => put.reason !== undefined)) this.cancelUnderWay();
    let answer: { status: string; rest: unknown };
    try {
      const args = [call, this.next, items, new PyFloat(waitMs / 1000)];
      answer = statusOf(await this.connection.settlingCall('sage_put', () => args));
    } finally {
      this.underWay = undefined;
    }
    const accepted = Math.min(Number(answer.rest), batch.length);
    this.next += accepted;
    for (const put of batch.slice(0, accepted)) put.resolve();
    this.line.splice(0, accepted);
    if (answer.status === 'shut') this.fail(new QueueShutDownError('The queue was shut down and takes no more items.'));
    else if (answer.status === 'stale')
      this.fail(
        new QueueClosedError('The queue forgot this handle after a long silence. Resolve the descriptor again.'),
      );
    for (const put of batch) if (!put.settled && put.immediate) this.leaveFull(put);
  }

  private leaveFull(put: Put): void {
    this.line.splice(this.line.indexOf(put), 1);
    put.fail(this.full());
  }

  /** Puts that did not get in are refused; the one under way is waited for, so that each is told what became of it. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelUnderWay();
    await this.running;
  }
}
