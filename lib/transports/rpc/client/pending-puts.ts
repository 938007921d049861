/**
 * Puts of one handle: sent in order, at most a window ahead of the server's answers, numbered so that the server applies
 * each once. A part of a call that was sent is a chunk; chunks are kept until the server has told their outcome.
 */
import type { QueueConnectionError, QueueError } from '../../../errors';
import { errorFromCode, itemTooLarge } from '../wire/errors';
import type { ConnectionFailure } from '../wire/errors';
import { toNumber } from '../wire/protocol';
import type { Cancel, ClientFrame, Opened, Put, PutResult } from '../wire/protocol';
import type { ItemBatch } from '../wire/item-batch';
import type { Wait } from '../../../wait/options';
import { CallTimeout, unreachable } from './call-timeout';
import type { Connection } from './connection';
import { full, PutCall, PutPlace, unknownOutcome, unsentInTime } from './put-call';
import type { PutOutcome } from './put-call';
import { PutFrameBuilder } from './put-frame-builder';
import { PutWindow } from './put-window';

/** How long the server may take to tell what of a call that was given up went in all the same. */
const CANCEL_WITHIN_MS = 1000;
/** So often the same items may be sent without an answer: something on the way may drop the stream because of them. */
const MOST_BREAKS = 8;
/** After so many they are sent alone, so that others are not taken for what breaks the stream. */
const SUSPECT_AFTER = 3;

interface Chunk {
  call: PutCall;
  offset: number;
  sequence: number;
  count: number;
  bytes: number;
  /** How often the stream broke while it was the first without an answer. */
  breaks: number;
}

export interface PutOptions {
  /** Calls of one nonzero group are applied in order up to the first that fails. */
  group?: number;
  /** Where the items stand in line; default: behind everything. */
  place?: PutPlace | undefined;
}

export class PendingPuts {
  /** Calls with something to be sent, and places of those that are still reading, in order. */
  private readonly unsent: (PutCall | PutPlace)[] = [];
  /** Sent, in order of their sequence numbers. */
  private chunks: Chunk[] = [];
  /** Those of them that have to be sent again, each once the one before is answered. */
  private again: Chunk[] = [];
  private readonly window = new PutWindow();
  private nextSequence = 1;
  private maxItemBytes = 0;
  private cancels: Cancel[] = [];

  constructor(private readonly connection: Connection) {}

  get busy(): boolean {
    return this.chunks.length > 0 || this.unsent.some((entry) => entry instanceof PutCall);
  }

  /** Whether something was sent whose outcome is not known. */
  get inFlight(): boolean {
    return this.chunks.length > 0;
  }

  /** Never rejects. */
  put(items: ItemBatch, wait: Wait, { group = 0, place }: PutOptions = {}): Promise<PutOutcome> {
    if (place?.failed !== undefined) return Promise.resolve({ applied: 0, failed: place.failed });
    return new Promise((settle) => {
      const timeout = new CallTimeout(wait.timeoutMs, this.connection);
      const call = new PutCall(items, timeout, group, wait.signal, settle);
      call.listen((reason) => this.giveUp(call, reason));
      call.deadline.arm(() => this.expire(call), false);
      this.unsent.splice(place === undefined ? this.unsent.length : this.unsent.indexOf(place), 0, call);
      this.connection.scheduleFlush();
    });
  }

  /** A place in line for a call that reads its items as they are sent: what is put later comes after them. */
  hold(group: number): PutPlace {
    const place = new PutPlace(group);
    this.unsent.push(place);
    return place;
  }

  /** Whether its source is silent, and does not hold up what was put later. */
  setAside(place: PutPlace, isAside: boolean): void {
    place.isAside = isAside;
    if (isAside && this.unsent.length > 1) this.connection.scheduleFlush();
  }

  /** All its items are in line. */
  release(place: PutPlace): void {
    this.unsent.splice(this.unsent.indexOf(place), 1);
    if (this.unsent.length > 0) this.connection.scheduleFlush();
  }

  /** Every put up to this number has a known outcome. */
  get known(): number {
    return (this.chunks[0]?.sequence ?? this.nextSequence) - 1;
  }

  /** Adds what may be sent now to the frame. @returns whether more is ready for another frame. */
  collect(frame: ClientFrame): boolean {
    if (this.cancels.length > 0) frame.cancels = this.cancels.splice(0);
    const [suspect] = this.again;
    if (suspect !== undefined) {
      if (suspect !== this.chunks[0]) return false;
      this.again.shift();
      frame.puts = [this.putOf(suspect)];
      return false;
    }
    const builder = new PutFrameBuilder();
    let more = false;
    /** Groups of those that wait. What does not wait passes them, but for its own. */
    const heldUp = new Set<number>();
    for (let index = 0; index < this.unsent.length && !more;) {
      const entry = this.unsent[index]!;
      if (entry instanceof PutPlace && entry.isAside) {
        index++;
        continue;
      }
      const passes = (one: PutCall): boolean => one.immediate && (one.group === 0 || !heldUp.has(one.group));
      const call = entry instanceof PutCall && (heldUp.size === 0 || passes(entry)) ? entry : undefined;
      const result = call === undefined ? 'held up' : this.send(call, builder);
      if (result === 'no room in the frame') more = true;
      if (result !== 'held up') continue;
      heldUp.add(entry.group);
      index++;
    }
    const puts = builder.finish(this.known);
    if (puts !== undefined) frame.puts = puts;
    return more;
  }

  /** As much of the call as fits. Where it is done, it is out of the line. */
  private send(call: PutCall, builder: PutFrameBuilder): 'done' | 'held up' | 'no room in the frame' {
    const from = call.next;
    let bytes = 0;
    let result: 'done' | 'held up' | 'no room in the frame' = 'done';
    for (; !call.allSent; call.next++) {
      const length = call.items.length(call.next);
      if (length > this.maxItemBytes) {
        call.failing(itemTooLarge(length, this.maxItemBytes));
        break;
      }
      if (!this.window.admits(length) && !call.immediate) result = 'held up';
      else if (!builder.hasRoomFor(length)) result = 'no room in the frame';
      if (result !== 'done') break;
      bytes += length;
      builder.reserve(length);
      this.window.sent(length);
    }
    const count = call.next - from;
    if (count > 0) {
      this.chunks.push({ call, offset: from, sequence: this.nextSequence, count, bytes, breaks: 0 });
      call.chunks++;
      builder.add(call, call.items.slice(from, call.next), this.nextSequence);
      this.nextSequence += count;
    }
    if (call.state.name === 'failing') this.failGroup(call, call.state.error);
    else if (call.allSent) {
      this.withdraw(call);
      if (!call.immediate) call.deadline.arm(() => this.expire(call), true);
    }
    return result;
  }

  /** No more of it is sent, nor of what follows in its group: that would leave a hole, and the next server may not know of this failure. */
  private failGroup(call: PutCall, error: unknown): void {
    const { group, number } = call;
    const failing = group === 0 ? [] : [...this.calls()].filter((one) => one.group === group && one.number > number);
    const place = this.unsent.find((one) => one instanceof PutPlace && one.group === group) as PutPlace | undefined;
    if (place !== undefined) place.failed ??= { error };
    for (const one of [call, ...failing]) {
      one.failing(error);
      this.withdraw(one);
      // The next stream would send it again.
      if (one.complete || !this.connection.isOpen) this.finish(one);
    }
  }

  onResult(result: PutResult): void {
    for (const range of result.applied ?? []) this.answered(toNumber(range.first), toNumber(range.count), undefined);
    for (const { puts, code, message } of result.rejected ?? [])
      this.answered(toNumber(puts?.first), toNumber(puts?.count), errorFromCode(code!, message!));
    if (this.unsent.length > 0) this.connection.scheduleFlush();
  }

  /** A stream is up again. @returns what has to be sent once more. */
  onOpened(opened: Opened, sameInstance: boolean): Put[] {
    this.window.limit(opened.windowItems ?? 1, opened.windowBytes ?? 1);
    this.maxItemBytes = toNumber(opened.maxItemBytes);
    this.cancels = [];
    if (!sameInstance) for (const { call } of this.chunks) call.isElsewhere = true;
    else if (!opened.remembered) this.forgotten();
    else {
      const through = toNumber(opened.appliedThrough);
      let from = 0;
      for (const gap of [...(opened.notApplied ?? []), { first: through + 1, count: 0 }]) {
        const first = Math.min(toNumber(gap.first), through + 1);
        if (first > from) this.answered(from, first - from, undefined);
        from = toNumber(gap.first) + toNumber(gap.count);
      }
    }
    if (this.chunks[0] === undefined || this.chunks[0].breaks < SUSPECT_AFTER)
      return this.chunks.map((chunk) => this.putOf(chunk));
    this.again = [...this.chunks];
    return [];
  }

  private putOf({ call, offset, count, sequence }: Chunk): Put {
    return {
      sequence,
      group: call.group,
      items: call.items.slice(offset, offset + count).toWire(),
      waitMs: call.deadline.remainingMs(),
      knownPuts: this.known,
    };
  }

  /** The stream broke. Calls that do not wait, or were given up, end here; the others wait for the next one. */
  onDown(failure: ConnectionFailure, wasOpen: boolean): void {
    this.again = [];
    const [first] = this.chunks;
    if (wasOpen && first !== undefined && ++first.breaks >= MOST_BREAKS) {
      const { where } = this.connection;
      const reason = `sent ${first.breaks} times to ${where}, and each time the connection broke before an answer came: ${failure.error.message}`;
      this.fail(first.call, unknownOutcome(reason));
    }
    for (const call of this.calls()) {
      const sent = call.chunks > 0;
      if (call.state.name === 'failing') {
        this.finish(call);
      } else if (failure.permanent || call.immediate) {
        const { where } = this.connection;
        const reason = `it was sent to ${where} but not acknowledged: ${failure.error.message}`;
        this.fail(call, sent ? unknownOutcome(reason) : failure.error);
      } else if (sent) {
        call.deadline.arm(() => this.expire(call), false);
      }
    }
  }

  /** The server forgot this client, or will have: nobody can tell whether what was sent is in the queue. */
  forgotten(): void {
    const reason =
      'the server no longer remembers this client, so that it cannot be sent again without the risk of applying it twice';
    for (const call of this.calls()) if (call.chunks > 0) this.fail(call, unknownOutcome(reason));
  }

  /** They end at once, whatever the server knows of them. Each with an error of its own, which says how many of its items are in. */
  failAll(reason: () => unknown): void {
    for (const call of this.calls()) this.fail(call, reason());
  }

  /** They end once the server has told what of them went in. */
  giveUpAll(reason: () => unknown): void {
    for (const call of this.calls()) this.giveUp(call, reason());
  }

  /** Calls whose items were not all sent when the server said that it is stopping. */
  failUnsent(error: QueueError): void {
    for (const call of this.unsent.filter((entry) => entry instanceof PutCall)) this.failGroup(call, error);
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls()) call.deadline.setReferenced(referenced);
  }

  private calls(): Set<PutCall> {
    const calls = new Set(this.chunks.map((chunk) => chunk.call));
    for (const entry of this.unsent) if (entry instanceof PutCall) calls.add(entry);
    return calls;
  }

  /** Notes the outcome of the puts numbered first … first + count - 1. @param rejection why they are not in the queue */
  private answered(first: number, count: number, rejection: QueueError | undefined): void {
    const end = first + count;
    let head = 0;
    for (let index = 0; index < this.chunks.length; index++) {
      const chunk = this.chunks[index]!;
      if (chunk.sequence >= end) break;
      const from = Math.max(first, chunk.sequence);
      const to = Math.min(end, chunk.sequence + chunk.count);
      if (to <= from) continue;
      const { call } = chunk;
      if (rejection === undefined) call.applied += to - from;
      else this.failGroup(call, rejection);
      const bytes =
        chunk.count === to - from ? chunk.bytes : call.items.slice(chunk.offset, chunk.offset + (to - from)).byteLength;
      this.window.answered(to - from, bytes);
      chunk.bytes -= bytes;
      chunk.count -= to - from;
      // Outcomes of one chunk come in its order, so what is left is its tail.
      chunk.sequence = to;
      chunk.offset += to - from;
      if (chunk.count === 0) {
        call.chunks--;
        if (index === head) head++;
        else this.chunks.splice(index--, 1);
        if (call.complete) this.finish(call);
      }
    }
    if (head > 0) this.chunks.splice(0, head);
    if (this.again.length > 0) {
      this.again = this.again.filter((chunk) => this.chunks.includes(chunk));
      this.connection.scheduleFlush();
    }
  }

  /** What was not sent of this call will not be. */
  private withdraw(call: PutCall): void {
    const index = this.unsent.indexOf(call);
    if (index >= 0) this.unsent.splice(index, 1);
  }

  private finish(call: PutCall): void {
    if (!call.end()) return;
    this.withdraw(call);
    if (call.chunks > 0) this.disown(call);
  }

  private fail(call: PutCall, error: unknown): void {
    call.failing(error);
    this.finish(call);
    this.failGroup(call, error);
  }

  /** Forgets the sent parts of a call that ends without knowing their outcome. */
  private disown(call: PutCall): void {
    this.chunks = this.chunks.filter((chunk) => {
      if (chunk.call !== call) return true;
      this.window.answered(chunk.count, chunk.bytes);
      return false;
    });
    call.chunks = 0;
  }

  private cancel(call: PutCall): void {
    for (const { call: owner, sequence, count } of this.chunks)
      if (owner === call) this.cancels.push({ puts: { first: sequence, count } });
    this.connection.scheduleFlush();
  }

  /** The caller wants no more of it; the server tells which items went in all the same, and must not take long over it. */
  private giveUp(call: PutCall, reason: unknown): void {
    this.failGroup(call, reason);
    if (call.chunks === 0 || !this.connection.isOpen) return this.finish(call);
    this.cancel(call);
    setTimeout(() => this.finish(call), CANCEL_WITHIN_MS).unref();
  }

  private expire(call: PutCall): void {
    if (call.state.name === 'ended') return;
    const { where, isOpen, lastFailure } = this.connection;
    const sent = call.chunks > 0;
    const waited = Math.round(call.deadline.elapsedMs());
    if (!isOpen) {
      if (!sent && call.deadline.extend(() => this.expire(call))) return;
      if (!sent) return this.fail(call, unreachable('put', where, call.deadline, lastFailure));
      const reason = lastFailure?.error.message ?? 'no answer';
      return this.fail(
        call,
        unknownOutcome(`sent to ${where} and waited ${waited} ms for the connection to come back: ${reason}`),
      );
    }
    if (!sent) return this.expireInLine(call, waited);
    const silent = unknownOutcome(`sent to ${where}, which has not answered within ${waited} ms`);
    if (!call.immediate && call.allSent) {
      // The server should have answered by itself.
      this.cancel(call);
      return this.fail(call, silent);
    }
    this.giveUp(call, call.immediate ? silent : full(waited));
  }

  /** There is a stream, and nothing of the call is on its way: whether there was no room is known only where room is what the line waits for. */
  private expireInLine(call: PutCall, waited: number): void {
    const notSent = (why: string): QueueConnectionError => unsentInTime(this.connection.where, waited, why);
    const [first] = this.unsent;
    if (this.again.length > 0) {
      const breaks = this.chunks[0]?.breaks ?? 0;
      return this.fail(call, notSent(`what was put before it has broken the connection ${breaks} times`));
    }
    const waitsForRoom = first instanceof PutCall && !this.window.admits(first.items.length(first.next));
    if (waitsForRoom) return this.fail(call, full(waited));
    // The line moves: a turn of the event loop, and the server knows.
    if (!call.deadline.isLate) call.deadline.arm(() => this.expire(call), true);
    else this.fail(call, notSent('other puts of this handle were sent before it'));
  }
}
