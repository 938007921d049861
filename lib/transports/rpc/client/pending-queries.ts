/**
 * Questions to the server (qsize, stats), shutdown and join: asked again after a reconnect, and given up after a fixed time, but for a join,
 * which waits as long as its caller does.
 */
import { QueueConnectionError } from '../../../errors';
import type { QueueError } from '../../../errors';
import { onAbort } from '../../../wait/abort-listeners';
import type { Wait } from '../../../wait/options';
import { errorFromCode } from '../wire/errors';
import type { ConnectionFailure } from '../wire/errors';
import { CANNOT_KNOW, toNumber } from '../wire/protocol';
import type { Cancel, ClientFrame, Failure, QueryResult } from '../wire/protocol';
import { CallTimeout, unreachable } from './call-timeout';
import type { Connection } from './connection';

type Kind = 'query' | 'shutdown' | 'join';

const FOR_NOW: Wait = { timeoutMs: 0, signal: undefined };

interface Call {
  request: number;
  kind: Kind;
  /** Of a shutdown. */
  immediate: boolean;
  deadline: CallTimeout;
  sent: boolean;
  ignoreAbort: () => void;
  resolve: (result: QueryResult) => void;
  reject: (error: unknown) => void;
}

export class PendingQueries {
  private readonly calls = new Map<number, Call>();
  private unsent: Call[] = [];
  private cancels: Cancel[] = [];

  constructor(
    private readonly connection: Connection,
    private readonly requestNumber: () => number,
  ) {}

  get busy(): boolean {
    return this.calls.size > 0;
  }

  query(): Promise<QueryResult> {
    return this.start('query');
  }

  async shutdown(immediate: boolean): Promise<void> {
    await this.start('shutdown', FOR_NOW, immediate);
  }

  async join(wait: Wait): Promise<void> {
    await this.start('join', wait);
  }

  private start(kind: Kind, wait = FOR_NOW, immediate = false): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const call: Call = {
        request: this.requestNumber(),
        kind,
        immediate,
        deadline: new CallTimeout(wait.timeoutMs, this.connection),
        sent: false,
        ignoreAbort: () => {},
        resolve,
        reject,
      };
      this.calls.set(call.request, call);
      this.unsent.push(call);
      call.deadline.arm(() => this.expire(call), true);
      call.ignoreAbort = onAbort(wait.signal, () => this.giveUp(call, wait.signal?.reason));
      this.connection.scheduleFlush();
    });
  }

  collect(frame: ClientFrame): void {
    if (this.cancels.length > 0) frame.cancels = [...(frame.cancels ?? []), ...this.cancels.splice(0)];
    for (const call of this.unsent.splice(0)) {
      const { request, kind, immediate } = call;
      call.sent = true;
      if (kind === 'query') (frame.queries ??= []).push({ request });
      else if (kind === 'join') (frame.joins ??= []).push({ request, waitMs: call.deadline.remainingMs() });
      else (frame.shutdowns ??= []).push({ request, immediate });
    }
  }

  onResult(result: QueryResult): void {
    const call = this.calls.get(toNumber(result.request));
    if (call !== undefined) this.finish(call, () => call.resolve(result));
  }

  onFailure({ request, code, message }: Failure): void {
    const call = this.calls.get(toNumber(request));
    if (call === undefined) return;
    const error = code === CANNOT_KNOW ? new TypeError(message!) : errorFromCode(code!, message!);
    this.finish(call, () => call.reject(error));
  }

  onDown(failure: ConnectionFailure): void {
    this.cancels = [];
    for (const call of this.calls.values()) {
      call.sent = false;
      if (failure.permanent) this.finish(call, () => call.reject(failure.error));
    }
    this.unsent = [...this.calls.values()];
  }

  /** The server is going down. */
  stop(error: QueueError): void {
    for (const call of this.calls.values()) if (call.kind === 'join') this.finish(call, () => call.reject(error));
  }

  failAll(error: QueueError): void {
    for (const call of this.calls.values()) this.finish(call, () => call.reject(error));
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls.values()) call.deadline.setReferenced(referenced);
  }

  private expire(call: Call): void {
    const { where, isOpen, lastFailure } = this.connection;
    const waits = call.deadline.timeoutMs !== 0;
    if (waits && !isOpen && call.deadline.extend(() => this.expire(call))) return;
    this.giveUp(
      call,
      waits && isOpen
        ? new QueueConnectionError(
            `${call.kind}: ${where} has not answered within ${Math.round(call.deadline.elapsedMs())} ms`,
          )
        : unreachable(call.kind, where, call.deadline, lastFailure),
    );
  }

  /** The answer is not waited for any more. */
  private giveUp(call: Call, reason: unknown): void {
    if (call.kind === 'join' && call.sent && this.connection.isOpen) {
      this.cancels.push({ join: call.request });
      this.connection.scheduleFlush();
    }
    this.finish(call, () => call.reject(reason));
  }

  private finish(call: Call, tell: () => void): void {
    if (!this.calls.delete(call.request)) return;
    if (!call.sent) this.unsent = this.unsent.filter((other) => other !== call);
    call.deadline.clear();
    call.ignoreAbort();
    tell();
  }
}
