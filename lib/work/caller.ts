import { refuseUnknown } from '../util/known-options';
import { randomBytes } from 'node:crypto';
import { replyDescriptor } from '../descriptor/reply-descriptor';
import {
  QueueClosedError,
  QueueConnectionError,
  QueueFullError,
  QueueNotFoundError,
  QueueShutDownError,
  QueueTimeoutError,
  SerializationError,
} from '../errors';
import { describeThrown, describeValue } from '../util/describe-value';
import type { NativeQueue, Queue } from '../queue/types';
import { clearAbandonedRepliesAtTimes } from '../resolve/abandoned-replies';
import { resolveBeside } from '../resolve/registry';
import { asyncDispose } from '../util/dispose';
import { ignoreAbort, listenForAbort } from '../wait/abort-listeners';
import { Alarm, deadlineOf, remainingMs } from '../wait/deadline';
import { readSignal, readTimeout } from '../wait/options';
import { LostRequests } from './lost-requests';
import type { CallUnderWay } from './lost-requests';
import { requireQueue } from './options';
import { readReply, writeRequest } from './request';

const DEFAULT_CAPACITY_BYTES = 1024 * 1024;
/** Replies taken at a time. */
const REPLIES_AT_ONCE = 256;
const MADE_AT_ONCE = ['local', 'shm', 'sage_queue'];

/** What `caller` takes. */
export interface CallerOptions {
  /** Of each call that gives none of its own. Default: no limit. */
  timeoutMs?: number;
  /** Of the reply queue. Default 1 MiB; a longer reply is the caller's ItemTooLargeError. */
  capacityBytes?: number;
}

/** How long a call waits for its answer. */
export interface CallOptions {
  /** Longest wait for the answer; then QueueTimeoutError. Default: the caller's. */
  timeoutMs?: number;
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal;
}

/** The asking side of requests and replies. */
export interface Caller<Req, Res> extends AsyncDisposable {
  /**
   * @throws RemoteError (what the handler threw), QueueTimeoutError, ItemTooLargeError, the signal's reason; without a time limit also QueueShutDownError
   * (an immediate shutdown dropped the request) and QueueConnectionError (something else took it)
   */
  call(request: Req, options?: CallOptions): Promise<Res>;
  /** Calls under way reject with QueueClosedError. Idempotent. */
  close(): Promise<void>;
}

/**
 * The asking side of `serve`. Replies come through a queue of this caller's own, beside the request queue and under an unguessable name.
 * A server that dies with a request leaves it to another one (at least once). Any number of calls may be under way.
 *
 * @example
 * await using resizing = caller<Job, Thumbnail>(requests, { timeoutMs: 5000 });
 * const thumbnail = await resizing.call({ file, width: 200 });
 */
export function caller<Req, Res>(queue: Queue, options?: CallerOptions): Caller<Req, Res> {
  requireQueue(queue, 'caller(queue, options?)');
  refuseUnknown(options ?? {}, ['timeoutMs', 'capacityBytes']);
  return new QueueCaller<Req, Res>(queue, options ?? {});
}

/** One small object: most are answered at once. */
class PendingCall implements CallUnderWay {
  /** Its request is in the queue, or was. */
  isSent = false;
  private readonly alarm: Alarm | undefined;

  constructor(
    readonly id: number,
    readonly timeoutMs: number,
    private readonly signal: AbortSignal | undefined,
    private readonly resolve: (value: unknown) => void,
    private readonly reject: (error: unknown) => void,
    /** Told when it ends otherwise than by its reply. */
    private readonly caller: { forget(id: number): unknown },
  ) {
    if (timeoutMs !== Infinity)
      this.alarm = new Alarm(performance.now() + timeoutMs, () => this.giveUp(timedOut(timeoutMs)), true);
    if (signal !== undefined) listenForAbort(signal, this);
  }

  fulfil(value: unknown): void {
    this.leave();
    this.resolve(value);
  }

  fail(error: unknown): void {
    this.leave();
    this.reject(error);
  }

  /** What the signal calls. */
  handleEvent(): void {
    this.giveUp(this.signal?.reason);
  }

  private giveUp(error: unknown): void {
    this.fail(error);
    this.caller.forget(this.id);
  }

  private leave(): void {
    this.alarm?.cancel();
    if (this.signal !== undefined) ignoreAbort(this.signal, this);
  }
}

const timedOut = (timeoutMs: number): QueueTimeoutError =>
  new QueueTimeoutError(`No reply came within ${timeoutMs} ms. Wait longer, or see whether anybody serves the queue.`);

class QueueCaller<Req, Res> implements Caller<Req, Res> {
  private token!: string;
  replies!: Queue;
  private pid = 0;
  /** Through this reply queue. */
  private replied = false;
  /** Until the reply queue is there: a request before it would be one of a caller that is gone. Types of this host make it at once. */
  private ready: Promise<unknown> | undefined;
  private readonly pending = new Map<number, PendingCall>();
  private readonly timeoutMs: number;
  private readonly capacityBytes: number;
  private calls = 0;
  /** Of those. */
  private answered = 0;
  private closed: { reason: () => Error } | undefined;
  private readonly lost: LostRequests;

  constructor(
    readonly requests: Queue,
    { timeoutMs, capacityBytes = DEFAULT_CAPACITY_BYTES }: CallerOptions,
  ) {
    this.timeoutMs = readTimeout(timeoutMs) ?? Infinity;
    this.capacityBytes = capacityBytes;
    this.open();
    this.lost = new LostRequests(this);
  }

  private open(): void {
    const { descriptor } = this.requests;
    const isShared = ['shm', 'sage_queue', 'auto'].includes(descriptor.queueType);
    const size = isShared ? { maxsize: 0, capacity_bytes: this.capacityBytes } : {};
    // Before the new one is made: it may need their room.
    clearAbandonedRepliesAtTimes(descriptor);
    this.token = randomBytes(16).toString('hex');
    // Nobody else can have guessed its name.
    this.replies = resolveBeside(this.requests, replyDescriptor(descriptor, this.token, size), 'exclusive');
    this.pid = pidIn(this.replies);
    this.replied = false;
    if (this.pending.size === 0) this.replies.unref();
    if (!MADE_AT_ONCE.includes(descriptor.queueType)) {
      const ready = this.replies.qsize().finally(() => {
        if (this.ready === ready) this.ready = undefined;
      });
      // Calls hear of it; without any, nobody needs to.
      ready.catch(() => {});
      this.ready = ready;
    }
    void this.receive(this.replies);
  }

  /** The far side has let go of the reply queue, as of what somebody had who was away too long. @returns whether there is another one */
  private openAnew(error: unknown): boolean {
    if (!(error instanceof QueueNotFoundError || error instanceof QueueConnectionError) || !this.replied) return false;
    const dropped =
      'What keeps the replies was out of reach for too long and has dropped them; whether the call was answered is unknown.';
    this.failAll(() => new QueueConnectionError(dropped, { cause: error, outcome: 'unknown' }));
    this.open();
    return true;
  }

  call(body: Req, options?: CallOptions): Promise<Res> {
    return new Promise<Res>((resolve, reject) => {
      const { timeoutMs = this.timeoutMs, signal } = readCall(options);
      signal?.throwIfAborted();
      if (this.closed !== undefined) throw this.closed.reason();
      const id = ++this.calls;
      // While a call is under way the process has something to wait for.
      if (this.pending.size === 0) this.replies.ref();
      const call = new PendingCall(id, timeoutMs, signal, resolve as (value: unknown) => void, reject, this);
      this.pending.set(id, call);
      this.put(id, body, deadlineOf({ timeoutMs }), signal).then(
        () => {
          call.isSent = true;
          if (timeoutMs === Infinity) this.lost.begin();
        },
        (error: unknown) => {
          // There was no room for the request until its time was over: for the caller, no reply came.
          this.lose(call, error instanceof QueueFullError ? timedOut(timeoutMs) : error);
        },
      );
    });
  }

  private put(id: number, body: Req, deadline: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.ready !== undefined)
      return this.ready.then(() => (this.pending.has(id) ? this.putNow(id, body, deadline, signal) : undefined));
    return this.putNow(id, body, deadline, signal);
  }

  private putNow(id: number, body: Req, deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const leftMs = remainingMs(deadline);
    const request = writeRequest(id, this.token, this.pid, leftMs, body);
    if (leftMs === Infinity && signal === undefined) return this.requests.put(request);
    return this.requests.put(request, { timeoutMs: leftMs, signal });
  }

  async close(): Promise<void> {
    if (this.closed !== undefined) return;
    this.end(() => new QueueClosedError('This caller was closed.'));
    // Whoever waits for this has something to wait for.
    this.replies.ref();
    try {
      // Whoever still answers finds it shut down, and keeps nothing.
      await this.replies.shutdown({ immediate: true });
      // Nobody finds it any more: a server that has it open, and is killed before it lets go, leaves nothing behind.
      if ('unlinkSync' in this.replies) (this.replies as NativeQueue).unlinkSync();
    } catch {
      // It is closed, or out of reach.
    }
    await this.replies.close();
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** False: it is gone already. */
  forget(id: number): boolean {
    if (!this.pending.delete(id)) return false;
    if (this.pending.size === 0) {
      this.replies.unref();
      this.lost.end();
    }
    return true;
  }

  unbounded(): PendingCall[] {
    return [...this.pending.values()].filter(({ isSent, timeoutMs }) => isSent && timeoutMs === Infinity);
  }

  async putExpired(): Promise<void> {
    // Its time was over long ago, by the clock of any host.
    const request = writeRequest(0, this.token, this.pid, -Date.now(), null);
    await this.requests.put(request, { block: false });
  }

  /** It ends without an answer, unless it has ended. */
  lose(call: PendingCall, error: unknown): void {
    if (this.forget(call.id)) call.fail(error);
  }

  private end(reason: () => Error): void {
    this.closed = { reason };
    this.failAll(reason);
  }

  private failAll(reason: () => Error): void {
    for (const call of this.pending.values()) call.fail(reason());
    this.pending.clear();
    this.lost.end();
  }

  private async receive(replies: Queue): Promise<void> {
    for (;;) {
      let items: unknown[];
      try {
        items = await replies.getMany(REPLIES_AT_ONCE);
      } catch (error) {
        if (this.closed !== undefined) return;
        if (error instanceof SerializationError) {
          this.cannotRead(error);
          continue;
        }
        await replies.close().catch(() => {});
        if (this.openAnew(error)) return;
        // Nothing will come any more: what waits hears of it, and so does every later call.
        this.end(() =>
          error instanceof QueueShutDownError
            ? new QueueClosedError('The reply queue was shut down.')
            : (error as Error),
        );
        return;
      }
      this.replied = true;
      for (const item of items) this.settle(item);
      // Whoever got a reply goes on before more are asked for: with its next call, say.
      await undefined;
    }
  }

  /** A reply that does not say whose it is: known only where every other call had its own. */
  private cannotRead(error: SerializationError): void {
    const [call] = this.pending.values();
    if (call !== undefined && this.calls === this.answered + 1) {
      this.forget(call.id);
      this.answered++;
      call.fail(error);
    } else
      process.emitWarning(
        `A reply could not be decoded, and one of the calls under way gets none: ${describeThrown(error)}`,
        { code: 'SAGE_QUEUE_REPLY_UNREADABLE' },
      );
  }

  private settle(item: unknown): void {
    const reply = readReply(item);
    // A second reply, by a server whose process was thought dead, or one that came too late.
    const call = reply && this.pending.get(reply.id);
    if (reply === undefined || call === undefined) return;
    this.forget(reply.id);
    this.answered++;
    if ('error' in reply) call.fail(reply.error);
    else call.fulfil(reply.value);
  }
}

const NO_OPTIONS: CallOptions = {};

/** @throws RangeError, TypeError */
function readCall(options: CallOptions | null | undefined): { timeoutMs?: number; signal?: AbortSignal } {
  if (options === undefined || options === null) return NO_OPTIONS;
  if (typeof options !== 'object')
    throw new TypeError(`The options of a call are { timeoutMs, signal }, found ${describeValue(options)}.`);
  refuseUnknown(options, ['timeoutMs', 'signal']);
  return { timeoutMs: readTimeout(options.timeoutMs), signal: readSignal(options.signal) };
}

/** This process where the reply queue keeps a table of those that are attached; over a network it is the server that is. */
const pidIn = (replies: Queue): number => ('getSync' in replies ? process.pid : 0);
