/**
 * Puts of one handle: sent in order, at most a window ahead of the server's answers, numbered so that the server applies
 * each once. A part of a call that was sent is a chunk; chunks are kept until the server has told their outcome.
 */
import { ItemTooLargeError, QueueConnectionError, QueueFullError } from '../../../errors';
import type { QueueError } from '../../../errors';
import { errorFromCode } from '../wire/errors';
import type { LinkFailure } from '../wire/errors';
import { BATCH_BYTES, BATCH_ITEMS, CANCELLED, toNumber } from '../wire/protocol';
import type { Cancel, ClientFrame, Opened, Put, PutResult } from '../wire/protocol';
import { ItemBatch } from '../wire/item-batch';
import { CallTimeout, OUTCOME_UNKNOWN, unreachable } from './call-timeout';
import type { Host } from './call-timeout';
import { onAbort } from '../../../wait/abort-listeners';
import type { Wait } from '../../../wait/options';

interface Call {
  items: ItemBatch;
  deadline: CallTimeout;
  /** Calls of one nonzero group are applied in order up to the first that fails. */
  group: number;
  front: boolean;
  /** Index of the first item that was not sent. */
  next: number;
  applied: number;
  chunks: number;
  failure: unknown;
  failed: boolean;
  done: boolean;
  signal: AbortSignal | undefined;
  /** Takes its listener off the signal. */
  ignoreAbort: () => void;
  resolve: (applied: number) => void;
  reject: (error: unknown, applied: number) => void;
}

interface Chunk {
  call: Call;
  offset: number;
  sequence: number;
  count: number;
  bytes: number;
}

/** How putting ended: `applied` items went in; `failed` says why not all. */
export interface PutOutcome {
  applied: number;
  failed?: { error: unknown };
}

export class PutLedger {
  private readonly unsent: Call[] = [];
  /** Sent, in order of their sequence numbers. */
  private chunks: Chunk[] = [];
  private nextSequence = 1;
  private windowItems = 0;
  private windowBytes = 0;
  private maxItemBytes = 0;
  private outItems = 0;
  private outBytes = 0;
  private cancels: Cancel[] = [];

  constructor(private readonly host: Host) {}

  get busy(): boolean {
    return this.unsent.length > 0 || this.chunks.length > 0;
  }

  /** Whether something was sent whose outcome is not known. */
  get inFlight(): boolean {
    return this.chunks.length > 0;
  }

  /** Never rejects. */
  put(items: ItemBatch, wait: Wait, { group = 0, front = false } = {}): Promise<PutOutcome> {
    return new Promise((settle) => {
      const call: Call = {
        items,
        deadline: new CallTimeout(wait.timeoutMs, this.host),
        group,
        front,
        next: 0,
        applied: 0,
        chunks: 0,
        failure: undefined,
        failed: false,
        done: false,
        signal: wait.signal,
        ignoreAbort: () => {},
        resolve: (applied) => settle({ applied }),
        reject: (error, applied) => settle({ applied, failed: { error } }),
      };
      call.deadline.arm(() => this.expire(call), false);
      this.unsent.push(call);
      call.ignoreAbort = onAbort(wait.signal, () => this.abort(call));
      this.host.stir();
    });
  }

  /** Every put up to this number has a known outcome. */
  get known(): number {
    return (this.chunks[0]?.sequence ?? this.nextSequence) - 1;
  }

  /** Adds what may be sent now to the frame. @returns whether more is ready for another frame. */
  collect(frame: ClientFrame): boolean {
    if (this.cancels.length > 0) frame.cancels = this.cancels.splice(0);
    const puts: Put[] = [];
    let batch: ItemBatch[] = [];
    let open: { put: Put; waitMs: number; group: number } | undefined;
    let frameItems = 0;
    let frameBytes = 0;
    let index = 0;
    let more = false;
    while (index < this.unsent.length) {
      const call = this.unsent[index]!;
      const from = call.next;
      // A put that does not wait is not held up by those that do: the server decides at once.
      const unbounded = call.deadline.timeoutMs === 0;
      let bytes = 0;
      while (call.next < call.items.count) {
        const length = call.items.length(call.next);
        if (length > this.maxItemBytes) {
          call.failed = true;
          call.failure = new ItemTooLargeError(
            `the encoded item has ${length} bytes; the server takes at most ${this.maxItemBytes} (maxMessageBytes of QueueServer)`,
          );
          break;
        }
        const fits =
          this.outItems < this.windowItems && (this.outItems === 0 || this.outBytes + length <= this.windowBytes);
        if (!fits && !unbounded) break;
        if (frameItems > 0 && (frameItems >= BATCH_ITEMS || frameBytes + length > BATCH_BYTES)) {
          more = true;
          break;
        }
        call.next++;
        bytes += length;
        frameItems++;
        frameBytes += length;
        this.outItems++;
        this.outBytes += length;
      }
      const count = call.next - from;
      if (count > 0) {
        this.chunks.push({ call, offset: from, sequence: this.nextSequence, count, bytes });
        call.chunks++;
        const { timeoutMs: waitMs } = call.deadline;
        if (open === undefined || open.waitMs !== waitMs || open.group !== 0 || call.group !== 0 || call.front) {
          if (open !== undefined) open.put.items = ItemBatch.join(batch).toWire();
          batch = [];
          const put: Put = {
            sequence: this.nextSequence,
            group: call.group,
            front: call.front,
            waitMs: call.deadline.remainingMs(),
          };
          // What comes first again keeps to itself, as a group does.
          open = { put, waitMs, group: call.front ? -1 : call.group };
          puts.push(put);
        }
        batch.push(call.items.slice(from, call.next));
        this.nextSequence += count;
      }
      if (call.failed) {
        this.withdraw(call);
        // What follows in its group would leave a hole; the server does not know of this failure.
        for (const later of this.unsent.filter((other) => call.group !== 0 && other.group === call.group))
          this.fail(later, call.failure);
        this.finishIfComplete(call);
        continue;
      }
      if (call.next === call.items.count) {
        this.unsent.splice(index, 1);
        if (call.deadline.timeoutMs !== 0) call.deadline.arm(() => this.expire(call), true);
        continue;
      }
      if (more) break;
      // The window is used up: only puts that do not wait may pass.
      index = this.unsent.findIndex((other, at) => at > index && other.deadline.timeoutMs === 0);
      if (index < 0) break;
    }
    if (open !== undefined) {
      open.put.items = ItemBatch.join(batch).toWire();
      puts[0]!.knownPuts = this.known;
      frame.puts = puts;
    }
    return more;
  }

  onResult(result: PutResult): void {
    for (const range of result.applied ?? []) this.settle(toNumber(range.first), toNumber(range.count), undefined);
    for (const rejection of result.rejected ?? []) {
      const error = errorFromCode(rejection.code!, rejection.message!);
      this.settle(toNumber(rejection.puts?.first), toNumber(rejection.puts?.count), {
        error,
        cancelled: rejection.code === CANCELLED,
      });
    }
    if (this.unsent.length > 0) this.host.stir();
  }

  /** A stream is up again. @returns what has to be sent once more. */
  onOpened(opened: Opened, sameInstance: boolean): Put[] {
    this.windowItems = opened.windowItems ?? 1;
    this.windowBytes = opened.windowBytes ?? 1;
    this.maxItemBytes = toNumber(opened.maxItemBytes);
    this.cancels = [];
    if (sameInstance && !opened.remembered) {
      this.forgotten();
    } else if (sameInstance) {
      const through = toNumber(opened.appliedThrough);
      let from = 0;
      for (const gap of [...(opened.notApplied ?? []), { first: through + 1, count: 0 }]) {
        const first = Math.min(toNumber(gap.first), through + 1);
        if (first > from) this.settle(from, first - from, undefined);
        from = toNumber(gap.first) + toNumber(gap.count);
      }
    }
    return this.chunks.map((chunk) => {
      const items = chunk.call.items.slice(chunk.offset, chunk.offset + chunk.count);
      return {
        sequence: chunk.sequence,
        group: chunk.call.group,
        front: chunk.call.front,
        items: items.toWire(),
        waitMs: chunk.call.deadline.remainingMs(),
        knownPuts: this.known,
      };
    });
  }

  /** The stream broke. Calls that do not wait, or were aborted, end here; the others wait for the next one. */
  onDown(failure: LinkFailure, where: string): void {
    for (const call of this.calls()) {
      const sent = call.chunks > 0;
      if (call.failed) {
        this.finish(call);
      } else if (failure.permanent || call.deadline.timeoutMs === 0) {
        this.fail(
          call,
          sent ? this.unknown(`it was sent to ${where} but not acknowledged: ${failure.error.message}`) : failure.error,
        );
      } else if (sent) {
        call.deadline.arm(() => this.expire(call), false);
      }
    }
  }

  /** The server forgot this client, or will have: nobody can tell whether what was sent is in the queue. */
  forgotten(): void {
    for (const call of this.calls()) {
      if (call.chunks > 0)
        this.fail(
          call,
          this.unknown(
            'the server no longer remembers this client, so that it cannot be sent again without the risk of applying it twice',
          ),
        );
    }
  }

  failAll(error: unknown): void {
    for (const call of this.calls()) this.fail(call, error);
  }

  /** Calls whose items were not all answered when the server said that it is stopping. */
  failUnsent(error: QueueError): void {
    for (const call of [...this.unsent]) {
      call.failed = true;
      call.failure = error;
      this.unsent.splice(this.unsent.indexOf(call), 1);
      if (call.chunks === 0) this.finish(call);
    }
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls()) call.deadline.setReferenced(referenced);
  }

  private calls(): Set<Call> {
    return new Set([...this.chunks.map((chunk) => chunk.call), ...this.unsent]);
  }

  private unknown(reason: string): QueueConnectionError {
    return new QueueConnectionError(`put: ${reason}; ${OUTCOME_UNKNOWN}`);
  }

  /** Notes the outcome of the puts numbered first … first + count - 1. */
  private settle(first: number, count: number, rejection: { error: QueueError; cancelled: boolean } | undefined): void {
    const end = first + count;
    let head = 0;
    for (let index = 0; index < this.chunks.length; index++) {
      const chunk = this.chunks[index]!;
      if (chunk.sequence >= end) break;
      const from = Math.max(first, chunk.sequence);
      const to = Math.min(end, chunk.sequence + chunk.count);
      if (to <= from) continue;
      const { call } = chunk;
      if (rejection === undefined) {
        call.applied += to - from;
      } else if (!call.failed) {
        call.failed = true;
        call.failure = rejection.error;
        this.withdraw(call);
      }
      const fraction =
        chunk.count === to - from ? chunk.bytes : call.items.slice(chunk.offset, chunk.offset + (to - from)).byteLength;
      this.outItems -= to - from;
      this.outBytes -= fraction;
      chunk.bytes -= fraction;
      chunk.count -= to - from;
      // Outcomes of one chunk come in its order, so what is left is its tail.
      chunk.sequence = to;
      chunk.offset += to - from;
      if (chunk.count === 0) {
        call.chunks--;
        if (index === head) head++;
        else this.chunks.splice(index--, 1);
        this.finishIfComplete(call);
      }
    }
    if (head > 0) this.chunks.splice(0, head);
  }

  private finishIfComplete(call: Call): void {
    if (call.chunks === 0 && (call.failed || call.next === call.items.count)) this.finish(call);
  }

  /** What was not sent of this call will not be. */
  private withdraw(call: Call): void {
    const index = this.unsent.indexOf(call);
    if (index >= 0) this.unsent.splice(index, 1);
  }

  private finish(call: Call): void {
    if (call.done) return;
    call.done = true;
    call.deadline.clear();
    call.ignoreAbort();
    this.withdraw(call);
    if (call.chunks > 0) this.disown(call);
    if (call.failed && call.applied < call.items.count) call.reject(call.failure, call.applied);
    else call.resolve(call.applied);
  }

  private fail(call: Call, error: unknown): void {
    call.failed = true;
    call.failure = error;
    this.finish(call);
  }

  /** Forgets the sent parts of a call that ends without knowing their outcome. */
  private disown(call: Call): void {
    this.chunks = this.chunks.filter((chunk) => {
      if (chunk.call !== call) return true;
      this.outItems -= chunk.count;
      this.outBytes -= chunk.bytes;
      return false;
    });
    call.chunks = 0;
  }

  private cancel(call: Call): void {
    for (const chunk of this.chunks) {
      if (chunk.call === call) this.cancels.push({ puts: { first: chunk.sequence, count: chunk.count } });
    }
    this.host.stir();
  }

  private abort(call: Call): void {
    call.ignoreAbort();
    this.withdraw(call);
    call.failed = true;
    call.failure = call.signal!.reason;
    if (call.chunks === 0 || !this.host.isOpen) return this.finish(call);
    // The server tells which items went in all the same; it must not take long over it.
    this.cancel(call);
    setTimeout(() => this.finish(call), 1000).unref();
  }

  private expire(call: Call): void {
    if (call.done) return;
    const { where, isOpen, lastFailure } = this.host;
    const sent = call.chunks > 0;
    const waited = Math.round(call.deadline.elapsedMs());
    if (!isOpen) {
      if (!sent && call.deadline.extend(() => this.expire(call))) return;
      if (!sent) return this.fail(call, unreachable('put', where, call.deadline, lastFailure));
      return this.fail(
        call,
        this.unknown(
          `sent to ${where} and waited ${waited} ms for the connection to come back: ${lastFailure?.error.message ?? 'no answer'}`,
        ),
      );
    }
    if (sent && call.deadline.timeoutMs !== 0 && call.next === call.items.count) {
      // The server should have answered by itself.
      this.cancel(call);
      return this.fail(call, this.unknown(`sent to ${where}, which has not answered within ${waited} ms`));
    }
    if (sent) {
      this.withdraw(call);
      call.failed = true;
      call.failure =
        call.deadline.timeoutMs === 0 ? this.unknown(`${where} has not answered within ${waited} ms`) : full(waited);
      this.cancel(call);
      setTimeout(() => this.finish(call), 1000).unref();
      return;
    }
    this.fail(call, full(waited));
  }
}

function full(waited: number): QueueFullError {
  return new QueueFullError(`the queue had no room within ${waited} ms`);
}
