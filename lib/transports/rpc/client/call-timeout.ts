/** What puts, gets and queries share: how long a call may wait, and who tells it to stop. */
import { QueueConnectionError } from '../../../errors';
import type { LinkFailure } from '../wire/errors';

/** How long an answer may be late before the connection is blamed. */
export const ANSWER_GRACE_MS = 250;
/** How long a call that does not wait for the queue waits for the server. */
export const PATIENCE_MS = 3000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Wait {
  /** Milliseconds to wait for the queue: 0 not at all, Infinity for ever. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What the ledgers need of the handle they belong to. */
export interface Host {
  /** host:port, for messages. */
  readonly where: string;
  readonly isOpen: boolean;
  /** By the program, for good. */
  readonly closed: boolean;
  readonly lastFailure: LinkFailure | undefined;
  /** Whether waiting calls keep the process alive. */
  readonly referenced: boolean;
  /** Something is to be sent. */
  stir(): void;
}

/** A call's clock: when the queue's patience ends, and when the server's does. */
export class Deadline {
  private readonly started: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    readonly waitMs: number,
    private readonly host: Host,
  ) {
    // A wait without end never asks.
    this.started = waitMs === Infinity ? 0 : performance.now();
  }

  /** For the wire: undefined is for ever. */
  remainingMs(): number | undefined {
    if (this.waitMs === Infinity) return undefined;
    return Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(this.waitMs - this.elapsedMs())));
  }

  elapsedMs(): number {
    return performance.now() - this.started;
  }

  /** Calls `expired` when the wait is over; with `late`, once an answer should long have come. */
  arm(expired: () => void, late: boolean): void {
    clearTimeout(this.timer);
    if (this.waitMs === Infinity) return;
    const wait = this.waitMs === 0 ? PATIENCE_MS : this.waitMs + (late ? ANSWER_GRACE_MS : 0);
    const delay = Math.max(0, Math.ceil(wait - this.elapsedMs()));
    // A timer may fire early, and none may be longer than this.
    this.timer = setTimeout(
      () => (this.elapsedMs() < wait ? this.arm(expired, late) : expired()),
      Math.min(delay, LONGEST_TIMER_MS),
    );
    this.setReferenced(this.host.referenced);
  }

  setReferenced(referenced: boolean): void {
    if (referenced) this.timer?.ref();
    else this.timer?.unref();
  }

  /**
   * The wait is over, there is no stream, and nothing has failed so far: the first attempt to connect is still under way. A short wait
   * gets a moment longer, so that it ends with what the queue says. @returns whether it did
   */
  extend(expired: () => void): boolean {
    if (this.host.lastFailure !== undefined || this.waitMs === 0 || this.elapsedMs() >= this.waitMs + ANSWER_GRACE_MS)
      return false;
    this.arm(expired, true);
    return true;
  }

  clear(): void {
    clearTimeout(this.timer);
  }
}

/** The error of a call whose time ran out while there was no stream. */
export function unreachable(
  what: string,
  where: string,
  deadline: Deadline,
  failure: LinkFailure | undefined,
): QueueConnectionError {
  const waited = Math.round(deadline.elapsedMs());
  const reason = failure === undefined ? 'no answer so far' : failure.error.message;
  return new QueueConnectionError(`${what} waited ${waited} ms for the connection to ${where}: ${reason}`);
}

export const OUTCOME_UNKNOWN = 'its outcome is unknown';
