/** Takes, in order: one waiting call under way, for as many items as there are consumers; those who do not wait ask beside it. */
import { QueueClosedError, QueueEmptyError, QueueShutDownError, SerializationError } from '../../../errors';
import type { Wait } from '../../../wait/options';
import type { Delivery } from './backend';
import { type ActorSession, statusOf } from './actor-session';
import { ActorCall, type CallOwner } from './pending-call';
import { withoutOutcome } from '../errors';
import { convertNode } from '../pickle/convert';
import { PyFloat, PyList } from '../pickle/types';
import { writePickle } from '../pickle/write';
import { LONGEST_CALL_MS } from './putter';

/** Most items asked for at once. */
const MOST = 1000;
/** What an answer should not exceed by much; the next one asks for fewer items when they are large. */
const ANSWER_BYTES = 8 * 1024 * 1024;

interface Leased extends Delivery {
  readonly id: number;
}

class Take extends ActorCall<Delivery[]> {
  constructor(
    readonly max: number,
    wait: Wait,
    owner: CallOwner,
  ) {
    super(wait, owner);
  }

  override fail(error: unknown): void {
    super.fail(withoutOutcome(error));
  }
}

export class Taker implements CallOwner {
  readonly what = 'get';
  private line: Take[] = [];
  private asking: Take[] = [];
  private underWay: { call: number; waits: boolean; cancelled: boolean } | undefined;
  private running: Promise<void> | undefined;
  private readonly asks = new Set<Promise<void>>();
  private most = MOST;
  private closed = false;

  constructor(
    private readonly connection: ActorSession,
    readonly answerMs: number,
  ) {}

  take(max: number, wait: Wait): Promise<Delivery[]> {
    if (this.closed) throw new QueueClosedError();
    const take = new Take(max, wait, this);
    if (take.immediate) {
      this.asking.push(take);
      if (this.asking.length === 1) queueMicrotask(() => this.ask());
    } else {
      this.line.push(take);
      this.running ??= Promise.resolve().then(() => this.run());
    }
    return take.promise;
  }

  /**
   * Lets those go whose signal fired: what is on its way for them goes to others, or back. Those whose time is over are told by the
   * actor's next answer whether there was nothing.
   */
  interrupt(): void {
    const leave = (take: Take): boolean => {
      if (take.isAborted && !take.settled) take.fail(undefined);
      return !take.settled;
    };
    this.line = this.line.filter(leave);
    this.asking = this.asking.filter(leave);
    if (this.line.length === 0 || this.line.some((take) => take.isLate)) this.cancelUnderWay();
  }

  private cancelUnderWay(): void {
    if (this.underWay === undefined || !this.underWay.waits || this.underWay.cancelled) return;
    this.underWay.cancelled = true;
    this.connection.cancel(this.underWay.call);
  }

  private async run(): Promise<void> {
    try {
      while (this.line.length > 0 && !this.closed) {
        try {
          await this.connection.ready();
          // Those who waited may have left meanwhile.
          if (this.line.length === 0 || this.closed) continue;
          const call = this.connection.nextCall();
          const waits = !this.line.some((take) => take.isLate);
          this.underWay = { call, waits, cancelled: false };
          const { status, deliveries } = await this.call(
            call,
            this.wanted(this.line),
            waits ? LONGEST_CALL_MS : 0,
          ).finally(() => (this.underWay = undefined));
          this.serve(this.line, deliveries);
          if (status === 'shut') this.fail(this.line, shutDown());
          else if (deliveries.length === 0) this.leaveEmpty();
        } catch (error) {
          this.fail(this.line, error);
        }
      }
    } finally {
      this.running = undefined;
      if (this.line.length > 0 && !this.closed) this.running = Promise.resolve().then(() => this.run());
    }
  }

  private leaveEmpty(): void {
    for (const take of this.line) if (take.isLate) take.fail(new QueueEmptyError());
    this.line = this.line.filter((take) => !take.settled);
  }

  private ask(): void {
    const line = this.asking;
    this.asking = [];
    const asked = (async () => {
      try {
        await this.connection.ready();
        for (let more = true; more && line.length > 0;) {
          const wanted = this.wanted(line);
          const { status, deliveries } = await this.call(this.connection.nextCall(), wanted, 0);
          this.serve(line, deliveries);
          more = status === 'ok' && deliveries.length === wanted;
          if (!more) this.fail(line, status === 'shut' ? shutDown() : new QueueEmptyError());
        }
      } catch (error) {
        this.fail(line, error);
      }
    })();
    this.asks.add(asked);
    void asked.finally(() => this.asks.delete(asked));
  }

  private wanted(line: readonly Take[]): number {
    const all = line.reduce((sum, take) => sum + take.max, 0);
    return Math.max(1, Math.min(all, this.most));
  }

  private call(call: number, most: number, waitMs: number): Promise<{ status: string; deliveries: Leased[] }> {
    const args = [call, most, new PyFloat(waitMs / 1000)];
    return this.connection.settlingCall(
      'sage_take',
      () => args,
      (answer) => {
        const { status, rest } = statusOf(answer);
        const taken = rest instanceof PyList ? rest.items : [];
        return { status, deliveries: taken.map((entry) => this.deliver(entry as PyList)) };
      },
    );
  }

  private deliver(entry: PyList): Leased {
    const [id, deliveries, node] = entry.items as [number, number, unknown];
    const { connection } = this;
    connection.hold(id);
    let item: Delivery['item'];
    try {
      item = { value: convertNode(node) };
      this.adapt(item.value);
    } catch (cause) {
      item = {
        error: new SerializationError(`An item of the queue cannot be read: ${(cause as Error).message}`, {
          cause,
          bytes: bytesOf(node),
        }),
      };
    }
    return {
      id,
      item,
      deliveries,
      end: (how) => connection.settle(id, how),
      endNow: async (how) => {
        connection.settle(id, how);
        await connection.settleNow(how);
      },
    };
  }

  /** Large items are asked for in smaller numbers. */
  private adapt(value: unknown): void {
    const bytes =
      typeof value === 'string' || ArrayBuffer.isView(value)
        ? ((value as Uint8Array).byteLength ?? (value as string).length)
        : 0;
    this.most =
      bytes > ANSWER_BYTES / MOST ? Math.max(1, Math.floor(ANSWER_BYTES / bytes)) : Math.min(MOST, this.most * 2);
  }

  private serve(line: Take[], deliveries: Leased[]): void {
    let at = 0;
    while (at < deliveries.length && line.length > 0) {
      const take = line.shift()!;
      if (take.settled) continue;
      take.resolve(deliveries.slice(at, at + take.max));
      at += take.max;
    }
    for (const delivery of deliveries.slice(at)) this.connection.settle(delivery.id, 'undo');
  }

  private fail(line: Take[], error: unknown): void {
    for (const take of line.splice(0)) if (!take.settled) take.fail(error);
  }

  /** Waiting gets end; what was on its way for them goes back, in front. */
  async close(): Promise<void> {
    this.closed = true;
    this.fail(this.line, new QueueClosedError());
    this.fail(this.asking, new QueueClosedError());
    this.cancelUnderWay();
    await this.running;
    await Promise.all(this.asks);
  }
}

/** The item as a pickle again, as far as that can be written. */
function bytesOf(node: unknown): Buffer {
  try {
    return writePickle(node, { maxDepth: 2500 });
  } catch {
    return Buffer.alloc(0);
  }
}

const shutDown = (): Error => new QueueShutDownError('The queue was shut down and nothing is left in it.');
