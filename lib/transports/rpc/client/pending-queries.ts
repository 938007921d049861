/** Questions to the server (qsize, stats) and shutdown: asked again after a reconnect, given up after a fixed time. */
import type { QueueError } from '../../../errors';
import { errorFromCode } from '../wire/errors';
import type { ConnectionFailure } from '../wire/errors';
import { toNumber } from '../wire/protocol';
import type { ClientFrame, Failure, QueryResult } from '../wire/protocol';
import { CallTimeout, unreachable } from './call-timeout';
import type { Connection } from './connection';

interface Call {
  request: number;
  immediate: boolean | undefined;
  deadline: CallTimeout;
  sent: boolean;
  resolve: (result: QueryResult) => void;
  reject: (error: unknown) => void;
}

export class PendingQueries {
  private calls: Call[] = [];

  constructor(
    private readonly connection: Connection,
    private readonly requestNumber: () => number,
  ) {}

  get busy(): boolean {
    return this.calls.length > 0;
  }

  query(): Promise<QueryResult> {
    return this.start(undefined);
  }

  async shutdown(immediate: boolean): Promise<void> {
    await this.start(immediate);
  }

  private start(immediate: boolean | undefined): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const call: Call = {
        request: this.requestNumber(),
        immediate,
        deadline: new CallTimeout(0, this.connection),
        sent: false,
        resolve,
        reject,
      };
      const what = immediate === undefined ? 'query' : 'shutdown';
      call.deadline.arm(
        () =>
          this.finish(call, () =>
            reject(unreachable(what, this.connection.where, call.deadline, this.connection.lastFailure)),
          ),
        false,
      );
      this.calls.push(call);
      this.connection.scheduleFlush();
    });
  }

  collect(frame: ClientFrame): void {
    for (const call of this.calls) {
      if (call.sent) continue;
      call.sent = true;
      if (call.immediate === undefined) (frame.queries ??= []).push({ request: call.request });
      else (frame.shutdowns ??= []).push({ request: call.request, immediate: call.immediate });
    }
  }

  onResult(result: QueryResult): void {
    const call = this.find(toNumber(result.request));
    if (call !== undefined) this.finish(call, () => call.resolve(result));
  }

  onFailure(failure: Failure): void {
    const call = this.find(toNumber(failure.request));
    if (call !== undefined) this.finish(call, () => call.reject(errorFromCode(failure.code!, failure.message!)));
  }

  onDown(failure: ConnectionFailure): void {
    for (const call of [...this.calls]) {
      call.sent = false;
      if (failure.permanent) this.finish(call, () => call.reject(failure.error));
    }
  }

  failAll(error: QueueError): void {
    for (const call of [...this.calls]) this.finish(call, () => call.reject(error));
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls) call.deadline.setReferenced(referenced);
  }

  private find(request: number): Call | undefined {
    return this.calls.find((call) => call.request === request);
  }

  private finish(call: Call, tell: () => void): void {
    const index = this.calls.indexOf(call);
    if (index < 0) return;
    this.calls.splice(index, 1);
    call.deadline.clear();
    tell();
  }
}
