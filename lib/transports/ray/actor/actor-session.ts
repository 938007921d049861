/** One handle's link to a queue actor of ours: the owner id, what it holds, and the way back after a lost session. */
import { randomUUID } from 'node:crypto';
import { QueueConnectionError, QueueShutDownError } from '../../../errors';
import type { RayActor, RayClient } from '../client/ray-client';
import { RaySessionLostError } from '../errors';
import { convertNode } from '../pickle/convert';
import { PyFloat, PyList } from '../pickle/types';
import { writeFragment } from '../pickle/write';
import { parseResult } from '../client/ray-client';

/** What settles leases; it rides on the next call. */
interface Settlement {
  acks: number[];
  releases: number[];
  /** Given back without having been seen by anyone: not a delivery. */
  unseen: number[];
}

const none = (): Settlement => ({ acks: [], releases: [], unseen: [] });
const SETTLE_AFTER_MS = 5;
/** How long a call goes on trying for a new session after its first one was lost. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 300;
const MAX_STALE = 3;

export class ActorConnection {
  private readonly owner = randomUUID();
  private epoch = 0;
  private lastCall = 0;
  private greeted: { generation: number; done: Promise<void> } | undefined;
  private queueGeneration: number | undefined;
  private settlement = none();
  private settleTimer: NodeJS.Timeout | undefined;
  private beat: NodeJS.Timeout | undefined;
  /** Leases that are neither acknowledged nor given back. */
  private readonly held = new Set<number>();
  private leaving = false;
  maxsize = 0;
  /** How many of this owner's numbered items the queue had applied when they last met. */
  applied = 0;

  constructor(
    readonly client: RayClient,
    readonly actor: RayActor,
    readonly leaseMs: number,
  ) {}

  /** Introduces this owner once for each session, and says what it still holds: all else it had comes again at once. */
  async ready(): Promise<void> {
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

  private async greet(): Promise<void> {
    const epoch = ++this.epoch;
    const { acks, releases, unseen } = this.settlement;
    const held = [...this.held, ...acks, ...releases, ...unseen];
    const greeting = (await this.client.call(this.actor, 'sage_hello', [
      this.owner,
      epoch,
      held,
      new PyFloat(this.leaseMs / 1000),
    ])) as {
      maxsize: number;
      generation: number;
      applied: number;
    };
    this.maxsize = greeting.maxsize;
    this.applied = greeting.applied;
    this.queueGeneration ??= greeting.generation;
    if (this.queueGeneration !== greeting.generation) {
      throw new QueueShutDownError('The queue was shut down and drained, and another one was started under its name.');
    }
  }

  private forgetGreeting(): void {
    this.greeted = undefined;
  }

  nextCall(): number {
    return ++this.lastCall;
  }

  /**
   * Calls `method([owner, epoch, settlement, …args])` and, when the session is lost on the way, calls again in a new one.
   * The methods are made so that this is safe.
   */
  async settlingCall(method: string, args: (epoch: number) => readonly unknown[]): Promise<unknown> {
    let riding = none();
    let lostAt: number | undefined;
    let stale = 0;
    for (;;) {
      let connecting = true;
      try {
        await this.ready();
        connecting = false;
        // Taken again after each loss: what rode on a lost call rides again, and settling twice does nothing.
        riding = merge(riding, this.takeSettlement());
        const { epoch } = this;
        const fragment = writeFragment([riding.acks, riding.releases, riding.unseen]);
        const data = await this.client.callRaw(this.actor, method, [[this.owner, epoch, fragment, ...args(epoch)]]);
        const answer = parseResult(data);
        if (statusOf(answer).status !== 'stale' || ++stale > MAX_STALE) return answer;
        // A call of this owner in another epoch, or one that the queue has forgotten: introduce it anew.
        if (epoch === this.epoch) this.forgetGreeting();
      } catch (error) {
        const lost = error instanceof RaySessionLostError;
        if (lost) lostAt ??= performance.now();
        const unreachable = connecting && lostAt !== undefined && error instanceof QueueConnectionError;
        if ((!lost && !unreachable) || this.leaving || performance.now() - lostAt! > PATIENCE_MS) {
          this.settlement = merge(riding, this.settlement);
          // What became of the call is not known: the next one starts from what the queue knows.
          if (!connecting) this.forgetGreeting();
          throw error;
        }
        if (!lost) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  private takeSettlement(): Settlement {
    const { settlement } = this;
    this.settlement = none();
    clearTimeout(this.settleTimer);
    this.settleTimer = undefined;
    return settlement;
  }

  /** Wakes a waiting call of this owner; it then answers with what it has. */
  cancel(call: number): void {
    if (this.client.generation !== this.greeted?.generation) return;
    this.client.call(this.actor, 'sage_cancel', [this.owner, this.epoch, call]).catch(() => {});
  }

  hold(lease: number): void {
    this.held.add(lease);
    // Held longer than a third of the lease time: say so, from time to time.
    this.beat ??= setInterval(() => void this.settleNow().catch(() => {}), this.leaseMs / 3).unref();
  }

  settle(lease: number, how: keyof Settlement): void {
    if (!this.held.delete(lease)) return;
    if (this.held.size === 0) {
      clearInterval(this.beat);
      this.beat = undefined;
    }
    this.settlement[how].push(lease);
    this.settleTimer ??= setTimeout(() => void this.settleNow().catch(() => {}), SETTLE_AFTER_MS);
  }

  /** Resolves once the queue knows of everything settled so far. */
  async settleNow(): Promise<unknown> {
    return convertNode(await this.settlingCall('sage_state', () => []));
  }

  async leave(): Promise<void> {
    if (this.leaving) return;
    this.leaving = true;
    clearTimeout(this.settleTimer);
    clearInterval(this.beat);
    if (this.greeted === undefined) return;
    await this.settlingCall('sage_bye', () => []).catch(() => {});
    clearTimeout(this.settleTimer);
  }
}

function merge(first: Settlement, second: Settlement): Settlement {
  return {
    acks: [...first.acks, ...second.acks],
    releases: [...first.releases, ...second.releases],
    unseen: [...first.unseen, ...second.unseen],
  };
}

/** `[status, rest]` of an answer. */
export function statusOf(answer: unknown): { status: string; rest: unknown } {
  const [status, rest] = answer instanceof PyList ? answer.items : [];
  return { status: String(status), rest };
}
