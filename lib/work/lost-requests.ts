/**
 * Finds the calls whose requests have left their queue without an answer, as an immediate shutdown drops them: without a time limit they would wait for ever.
 * A server acknowledges what it has answered. So once the request queue's `join()` has resolved, the answers to all that was put before are in
 * the reply queue; once that one's has, they are read.
 */
import { QueueConnectionError, QueueFullError, QueueShutDownError } from '../errors';
import type { Queue } from '../queue/types';
import { nextTurn } from '../wait/fairness';

const LOOK_MS = 1000;

const DROPPED =
  'The request queue was shut down, and the request left it without an answer: it was dropped, as by an immediate shutdown, or something other than serve() took it.';
const TAKEN =
  'The request has left its queue, and no answer came that could be read: something other than serve() took it, or the answer was the one that a warning told of.';

/** What is known of a call. */
export interface CallUnderWay {
  readonly id: number;
}

/** What is looked after. */
export interface Calls {
  /** Those under way that have no time limit and whose requests are in the queue, or were. */
  unbounded(): CallUnderWay[];
  readonly requests: Queue;
  readonly replies: Queue;
  /** Puts a request that no server answers, if there is room. @throws QueueShutDownError, QueueFullError */
  putExpired(): Promise<void>;
  /** Does nothing for one that has ended. */
  lose(call: CallUnderWay, error: Error): void;
}

/** Wakes nobody while a server works on what it has: then the queue tells when that is done. */
export class LostRequests {
  private timer: NodeJS.Timeout | undefined;
  /** The newest call at the last tick: most are answered before anybody has to ask. */
  private newest = 0;
  private looking: AbortController | undefined;
  /** The queue does not know what others hold. */
  private isOff = false;

  constructor(private readonly calls: Calls) {}

  /** A call without a time limit is under way. */
  begin(): void {
    if (this.timer === undefined && this.looking === undefined && !this.isOff)
      this.timer = setTimeout(() => this.tick(), LOOK_MS).unref();
  }

  /** No call is under way. A timer that runs is left to find out, since the next call would start it again. */
  end(): void {
    this.looking?.abort();
  }

  private tick(): void {
    this.timer = undefined;
    const calls = this.calls.unbounded();
    if (calls.length === 0) return;
    const late = calls.filter(({ id }) => id <= this.newest);
    this.newest = calls.at(-1)!.id;
    if (late.length > 0) void this.look(late);
    else this.begin();
  }

  private async look(late: CallUnderWay[]): Promise<void> {
    const { requests, replies } = this.calls;
    const { signal } = (this.looking = new AbortController());
    try {
      await requests.join({ signal });
      await replies.join({ signal });
      // Those who had them go on first.
      await nextTurn();
      const still = new Set(this.calls.unbounded());
      const lost = late.filter((call) => still.has(call));
      if (lost.length === 0) return;
      const error = await this.reason();
      for (const call of lost) this.calls.lose(call, error);
    } catch (error) {
      // Any other says that a queue was closed or out of reach, of which the calls hear themselves, or that none is under way any more.
      this.isOff ||= error instanceof TypeError;
    } finally {
      this.looking = undefined;
      if (this.calls.unbounded().length > 0) this.begin();
    }
  }

  private async reason(): Promise<Error> {
    try {
      await this.calls.putExpired();
    } catch (error) {
      if (error instanceof QueueShutDownError)
        return new QueueShutDownError(DROPPED, { cause: error, outcome: 'unknown' });
      if (!(error instanceof QueueFullError)) throw error;
    }
    return new QueueConnectionError(TAKEN, { outcome: 'unknown' });
  }
}
