/** One handle's link to a queue actor of ours: the owner id, what it holds, and the way back after a lost session. */
import { randomUUID } from 'node:crypto';
import { QueueClosedError, QueueConnectionError, QueueShutDownError } from '../../../errors';
import type { LeaseEnd } from '../../../queue/lease-table';
import { answerWithin } from '../../../wait/deadline';
import type { RayActor, RayClient } from '../client/ray-client';
import { RayActorDiedError, RayActorUnavailableError, RaySessionLostError } from '../errors';
import { unanswered } from './pending-call';
import { convertNode } from '../pickle/convert';
import { PyFloat, PyList } from '../pickle/types';
import { writeFragment } from '../pickle/write';
import { parseResult } from '../client/pickled-calls';

/** What settles leases; it rides on the next call. */
type Settlement = Record<LeaseEnd, number[]>;

const none = (): Settlement => ({ ack: [], release: [], undo: [] });
const SETTLE_AFTER_MS = 5;
/** How long a call goes on trying for a new session after its first one was lost. */
const SESSION_WITHIN_MS = 15_000;
const PAUSE_MS = 300;
const MAX_STALE = 3;
/**
 * A call that Ray has not answered for so long, beyond what it may wait, is made again: one that meets an actor as it restarts may
 * never be answered. Earlier epochs have no effect any more, so that it is done once.
 */
const SILENT_MS = 40_000;

export class ActorSession {
  private readonly owner = randomUUID();
  private epoch = 0;
  private lastCall = 0;
  /** How it introduced itself last, and in which epoch. */
  private greeted: { generation: number; done: Promise<number> } | undefined;
  private queueGeneration: number | undefined;
  private incarnation: string | undefined;
  private settlement = none();
  /**
   * Those that were sent and may not have come. Calls run in any order: each takes all of these along, so that what it says or finds is
   * true after them, until one that had it is answered. Settling twice does nothing.
   */
  private readonly sent = new Set<Settlement>();
  private settleTimer: NodeJS.Timeout | undefined;
  private settleAtMs = Infinity;
  private beat: NodeJS.Timeout | undefined;
  /** Leases that are neither acknowledged nor released. */
  private readonly held = new Set<number>();
  private leaving = false;
  private asking: Promise<unknown> | undefined;
  /** Calls that only settle or ask, under way. */
  private readonly asked = new Set<Promise<unknown>>();
  maxsize = 0;
  /** How many of this owner's numbered items the queue had applied when they last met. */
  applied = 0;

  constructor(
    readonly client: RayClient,
    readonly actor: RayActor,
    readonly leaseMs: number,
    private readonly answerMs: number,
    /** @see SILENT_MS */
    private readonly silentMs = SILENT_MS,
  ) {}

  /**
   * Introduces this owner once for each session, and says what it still holds: all else it had comes again at once. Resolves with the epoch
   * that began so. An epoch ends as soon as the next one is asked for: a take of it that is answered after that has been given back.
   */
  async ready(): Promise<number> {
    await this.client.connected();
    const { generation } = this.client;
    if (this.greeted?.generation !== generation) {
      const done = this.greet();
      this.greeted = { generation, done };
      done.catch(() => {
        if (this.greeted?.done === done) this.greeted = undefined;
      });
    }
    return this.greeted!.done;
  }

  private async greet(): Promise<number> {
    const silence = Symbol('silence');
    let answer: unknown = silence;
    let epoch = 0;
    while (answer === silence) {
      epoch = ++this.epoch;
      const { ack, release, undo } = merged([...this.sent, this.settlement]);
      const held = [...this.held, ...ack, ...release, ...undo];
      const args = [this.owner, epoch, held, new PyFloat(this.leaseMs / 1000)];
      answer = await this.orSilence(this.client.call(this.actor, 'sage_hello', args), silence);
      if (this.leaving && answer === silence) return epoch;
    }
    const greeting = answer as {
      maxsize: number;
      generation: number;
      applied: number;
      incarnation?: string;
    };
    this.incarnation ??= greeting.incarnation;
    if (this.incarnation !== greeting.incarnation)
      throw new RayActorDiedError('The actor that this handle knew is dead, and another one runs under its name.');
    this.maxsize = greeting.maxsize;
    this.applied = greeting.applied;
    this.queueGeneration ??= greeting.generation;
    if (this.queueGeneration !== greeting.generation) {
      throw new QueueShutDownError('The queue was shut down and drained, and another one was started under its name.');
    }
    return epoch;
  }

  /** The answer, or `silence` when none comes for too long. */
  private orSilence<V, S>(call: Promise<V>, silence: S): Promise<V | S> {
    const silent = new Error('silent');
    return answerWithin<V | S>(this.silentMs, call, () => silent).catch((error: unknown) => {
      if (error === silent) return silence;
      throw error;
    });
  }

  /** Another epoch has to begin, if that one has not ended already. */
  private endEpoch(epoch: number): void {
    if (epoch === this.epoch) this.greeted = undefined;
  }

  nextCall(): number {
    return ++this.lastCall;
  }

  /**
   * Calls `method([owner, epoch, settlement, …args])` and, when the session is lost on the way, calls again in a new one. The methods are
   * made so that this is safe.
   * @param read gets the answer at once, for one that is good for nothing once its epoch is over; without it an answer stays true
   */
  async settlingCall<V = unknown>(
    method: string,
    args: () => readonly unknown[],
    read?: (answer: unknown) => V,
  ): Promise<V> {
    let lostAt: number | undefined;
    let stale = 0;
    for (;;) {
      let epoch: number | undefined;
      try {
        epoch = await this.ready();
        const settlements = this.sendSettlements();
        const { ack, release, undo } = merged(settlements);
        const fragment = writeFragment([ack, release, undo]);
        const call = this.client.callRaw(this.actor, method, [[this.owner, epoch, fragment, ...args()]]);
        const data = await this.orSilence(call, undefined);
        if (data === undefined) {
          this.endEpoch(epoch);
          continue;
        }
        const answer = parseResult(data);
        const isCurrent = epoch === this.epoch;
        const isStale = statusOf(answer).status === 'stale';
        // An actor of an earlier version does not say of each call that it is stale.
        if (isCurrent && !isStale) for (const settlement of settlements) this.sent.delete(settlement);
        if (!isStale && (isCurrent || read === undefined)) return read === undefined ? (answer as V) : read(answer);
        if (this.leaving && method !== 'sage_bye') throw new QueueClosedError();
        // A call of this owner in another epoch, or one that the queue has forgotten: introduce it anew.
        if (isCurrent && ++stale > MAX_STALE) throw forgotten();
        this.endEpoch(epoch);
      } catch (error) {
        // An actor that restarts says so until it is back.
        const unavailable = error instanceof RayActorUnavailableError;
        const lost = error instanceof RaySessionLostError || unavailable;
        if (lost) lostAt ??= performance.now();
        const unreachable =
          epoch === undefined &&
          lostAt !== undefined &&
          error instanceof QueueConnectionError &&
          !(error instanceof RayActorDiedError);
        if ((!lost && !unreachable) || this.leaving || performance.now() - lostAt! > SESSION_WITHIN_MS) {
          // What became of the call is not known: the next one starts from what the queue knows.
          if (epoch !== undefined) this.endEpoch(epoch);
          if (this.sent.size > 0 || isAnything(this.settlement)) this.settleIn(this.leaseMs / 3);
          throw error;
        }
        if (!lost || unavailable) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  /** With the one that has gathered since the last call. */
  private sendSettlements(): Settlement[] {
    if (isAnything(this.settlement)) this.sent.add(this.settlement);
    this.settlement = none();
    clearTimeout(this.settleTimer);
    this.settleTimer = undefined;
    return [...this.sent];
  }

  /** Wakes a waiting call of this owner, or keeps it from waiting in the epoch that begins; it then answers with what it has. */
  cancel(call: number): void {
    this.ready()
      .then((epoch) => this.client.call(this.actor, 'sage_cancel', [this.owner, epoch, call]))
      .catch(() => {});
  }

  hold(lease: number): void {
    this.held.add(lease);
    // Held longer than a third of the lease time: say so, from time to time.
    this.beat ??= setInterval(() => void this.settleNow('settle').catch(() => {}), this.leaseMs / 3).unref();
  }

  settle(lease: number, how: LeaseEnd): void {
    if (!this.held.delete(lease)) return;
    if (this.held.size === 0) {
      clearInterval(this.beat);
      this.beat = undefined;
    }
    this.settlement[how].push(lease);
    this.settleIn(SETTLE_AFTER_MS);
  }

  /** At the latest: what is due sooner goes first. */
  private settleIn(ms: number): void {
    const atMs = performance.now() + ms;
    if (this.leaving || (this.settleTimer !== undefined && this.settleAtMs <= atMs)) return;
    clearTimeout(this.settleTimer);
    this.settleAtMs = atMs;
    this.settleTimer = setTimeout(() => {
      this.settleTimer = undefined;
      this.settleNow('settle').catch(() => {});
    }, ms);
  }

  /** Resolves once the queue knows of everything settled so far, with its state. @throws QueueConnectionError when it does not answer in time */
  settleNow(what: string): Promise<unknown> {
    // Calls of one turn share one.
    this.asking ??= Promise.resolve().then(() => {
      this.asking = undefined;
      const asked = this.settlingCall('sage_state', () => [], convertNode);
      this.asked.add(asked);
      return asked.finally(() => this.asked.delete(asked));
    });
    const answer = this.asking;
    return answerWithin(this.answerMs, answer, () => unanswered(what, this.answerMs, { outcome: 'unknown' }));
  }

  /** Asks no more, and says no more of what it holds. */
  forget(): void {
    this.leaving = true;
    clearTimeout(this.settleTimer);
    clearInterval(this.beat);
  }

  /** The last call, so that none of those before it comes from an owner that is not known any more. */
  async leave(): Promise<void> {
    if (this.leaving) return;
    this.forget();
    // They never met.
    if (this.epoch === 0) return;
    await Promise.allSettled([this.asking, ...this.asked]);
    await this.settlingCall('sage_bye', () => []).catch(() => {});
  }
}

const isAnything = ({ ack, release, undo }: Settlement): boolean => ack.length + release.length + undo.length > 0;

function merged(settlements: readonly Settlement[]): Settlement {
  const of = (how: LeaseEnd): number[] => settlements.flatMap((settlement) => settlement[how]);
  return { ack: of('ack'), release: of('release'), undo: of('undo') };
}

/** `[status, rest]` of an answer. */
export function statusOf(answer: unknown): { status: string; rest: unknown } {
  const [status, rest] = answer instanceof PyList ? answer.items : [];
  return { status: String(status), rest };
}

/** What a call fails with whose owner the actor does not know, however often it introduces itself. */
const forgotten = (): QueueClosedError =>
  new QueueClosedError(
    'The queue forgets this handle each time that it introduces itself. Resolve the descriptor again.',
  );
