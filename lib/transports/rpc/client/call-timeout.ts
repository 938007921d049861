/** What puts, gets and queries share: how long a call may wait, and who tells it to stop. */
import { QueueConnectionError } from '../../../errors';
import { Alarm, LONGEST_TIMER_MS, remainingMs } from '../../../wait/deadline';
import type { ConnectionFailure } from '../wire/errors';
import type { Connection } from './connection';

/** How long an answer may be late before the connection is blamed. */
export const ANSWER_GRACE_MS = 250;
/** How long a call that does not wait for the queue waits for the server, unless the handle says otherwise. */
export const ANSWER_WITHIN_MS = 3000;

/** A call's clock: when the queue's time is over, and when the server's is. */
export class CallTimeout {
  private readonly started: number;
  private alarm: Alarm | undefined;
  /** It waits for an answer, or for its turn, and for the queue no longer. */
  isLate = false;

  constructor(
    /** 0: the call does not wait for the queue. Infinity: for ever. */
    readonly timeoutMs: number,
    private readonly connection: Connection,
  ) {
    // A wait without end never asks.
    this.started = timeoutMs === Infinity ? 0 : performance.now();
  }

  /** For the wire: undefined is for ever. */
  remainingMs(): number | undefined {
    if (this.timeoutMs === Infinity) return undefined;
    return Math.min(LONGEST_TIMER_MS, Math.ceil(remainingMs(this.started + this.timeoutMs)));
  }

  elapsedMs(): number {
    return performance.now() - this.started;
  }

  /** Calls `expired` when the wait is over; with `late`, once an answer should long have come, also to what was sent only after that. */
  arm(expired: () => void, late: boolean): void {
    if (this.timeoutMs === Infinity) return;
    this.isLate = late;
    const grown = late ? Math.max(this.timeoutMs, this.elapsedMs()) + ANSWER_GRACE_MS : this.timeoutMs;
    const allowed = this.timeoutMs === 0 ? this.connection.answerWithinMs : grown;
    this.alarm?.cancel();
    this.alarm = new Alarm(this.started + allowed, expired, this.connection.referenced);
  }

  setReferenced(referenced: boolean): void {
    this.alarm?.setReferenced(referenced);
  }

  /**
   * The wait is over, there is no stream, and nothing has failed so far: the first attempt to connect is still under way. A short wait
   * gets a moment longer, so that it ends with what the queue says. @returns whether it did
   */
  extend(expired: () => void): boolean {
    const longest = this.timeoutMs + ANSWER_GRACE_MS;
    if (this.connection.lastFailure !== undefined || this.timeoutMs === 0 || this.elapsedMs() >= longest) return false;
    this.arm(expired, true);
    return true;
  }

  clear(): void {
    this.alarm?.cancel();
  }
}

/** The error of a call whose time ran out while there was no stream. */
export function unreachable(
  what: string,
  where: string,
  deadline: CallTimeout,
  failure: ConnectionFailure | undefined,
): QueueConnectionError {
  const waited = Math.round(deadline.elapsedMs());
  const reason = failure === undefined ? 'no answer so far' : failure.error.message;
  return new QueueConnectionError(`${what} waited ${waited} ms for the connection to ${where}: ${reason}`);
}

export const OUTCOME_UNKNOWN = 'its outcome is unknown';
