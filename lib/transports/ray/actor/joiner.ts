/** Joins: however many wait, one call waits for all of them, since an actor runs no more than a thousand at once. */
import { QueueClosedError, QueueTimeoutError } from '../../../errors';
import type { Wait } from '../../../wait/options';
import { PyFloat } from '../pickle/types';
import { type ActorSession, statusOf } from './actor-session';
import { ActorCall, type CallOwner } from './pending-call';
import { LONGEST_CALL_MS } from './putter';

class Join extends ActorCall<void> {
  /** The call that waits for it, if there is one. */
  call: number | undefined;
}

export class Joiner implements CallOwner {
  readonly what = 'join';
  private line: Join[] = [];
  /** The newest call that waits. */
  private waiting: number | undefined;
  /** The one before it, which was told to end. Those that come while there are both wait for that. */
  private replaced: number | undefined;
  private isAsking = false;

  constructor(
    private readonly connection: ActorSession,
    readonly answerMs: number,
  ) {}

  join(wait: Wait): Promise<void> {
    const join = new Join(wait, this);
    this.line.push(join);
    this.askSoon();
    return join.promise;
  }

  interrupt(): void {
    for (const join of this.line) if (join.isAborted && !join.settled) join.fail(undefined);
    this.askSoon();
  }

  private dismiss(): void {
    this.line = this.line.filter((join) => !join.settled);
  }

  /** Those of one turn share a call. */
  private askSoon(): void {
    if (this.isAsking) return;
    this.isAsking = true;
    queueMicrotask(() => {
      this.isAsking = false;
      this.dismiss();
      this.askForLate();
      this.askForAll();
    });
  }

  private askForLate(): void {
    const late = this.line.filter((join) => join.isLate && !join.sent);
    for (const join of late) join.sent = true;
    if (late.length > 0) void this.ask(late, this.connection.nextCall(), 0, undefined);
  }

  private askForAll(): void {
    const joins = this.line.filter((join) => !join.isLate);
    if (joins.length === 0) return this.cancel(this.waiting);
    if (joins.every(({ call }) => call !== undefined)) return;
    if (this.waiting !== undefined && this.replaced !== undefined) return;
    const before = this.waiting;
    this.replaced ??= before;
    this.waiting = this.connection.nextCall();
    for (const join of joins) join.call = this.waiting;
    // The one before ends once this one is on its way, so that no moment without items goes unseen.
    void this.ask(joins, this.waiting, LONGEST_CALL_MS, before);
  }

  private async ask(joins: readonly Join[], call: number, waitMs: number, before: number | undefined): Promise<void> {
    try {
      const answer = await this.connection.settlingCall('sage_join', () => {
        queueMicrotask(() => this.cancel(before));
        return [call, new PyFloat(waitMs / 1000)];
      });
      const { rest } = statusOf(answer);
      for (const join of joins) {
        if (join.settled) continue;
        if (rest === true) join.resolve(undefined);
        else if (join.isLate) join.fail(new QueueTimeoutError('join: items were still in the queue or on lease.'));
        else if (join.call === call) join.call = undefined;
      }
    } catch (error) {
      for (const join of joins) if (!join.settled) join.fail(error);
    }
    if (this.waiting === call) this.waiting = undefined;
    if (this.replaced === call) this.replaced = undefined;
    this.askSoon();
  }

  private cancel(call: number | undefined): void {
    if (call !== undefined) this.connection.cancel(call);
  }

  close(): void {
    for (const join of this.line.splice(0)) if (!join.settled) join.fail(new QueueClosedError());
    this.cancel(this.waiting);
  }
}
