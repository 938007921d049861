/**
 * Gets of one handle. A delivery is a lease: it is settled before the program sees its items, and the program sees them only once
 * the server has confirmed that. So an item reaches one program once, however often the connection breaks in between.
 */
import { QueueClosedError, QueueConnectionError, QueueEmptyError } from '../../../errors';
import type { QueueError } from '../../../errors';
import { errorFromCode } from '../wire/errors';
import type { ConnectionFailure } from '../wire/errors';
import { ItemBatch } from '../wire/item-batch';
import { toNumber } from '../wire/protocol';
import type { Cancel, ClientFrame, Delivery, Failure, Get, Opened, Settle, Settled } from '../wire/protocol';
import { CallTimeout, OUTCOME_UNKNOWN, unreachable } from './call-timeout';
import type { Connection } from './connection';
import { onAbort } from '../../../wait/abort-listeners';
import type { Wait } from '../../../wait/options';

export interface Taken {
  items: ItemBatch;
  /** There were more than fitted into one delivery. */
  more: boolean;
}

export interface RemoteLease {
  /** A batch of one. */
  items: ItemBatch;
  deliveries: number;
  ack(): Promise<void>;
  release(): Promise<void>;
}

interface Call {
  /** The number of the last time it was sent. */
  request: number;
  max: number;
  lease: boolean;
  deadline: CallTimeout;
  state: 'unsent' | 'sent' | 'settling' | 'done';
  signal: AbortSignal | undefined;
  /** Takes its listener off the signal. */
  ignoreAbort: () => void;
  /** Given up while its item was being confirmed: it ends with this unless the confirmation comes on this stream. */
  reason: { error: unknown } | undefined;
  resolve: (result: Taken | RemoteLease) => void;
  reject: (error: unknown) => void;
}

/** A settle whose answer has not arrived. */
interface OpenSettle {
  message: Settle;
  done: () => void;
  lost: () => void;
  /** The server that was asked is gone. */
  unknown: () => void;
}

export class PendingGets {
  /** In the order in which they were made. */
  private readonly calls = new Set<Call>();
  /** Those that are to be sent, in the same order. */
  private unsent: Call[] = [];
  /** Those that were sent and not answered, by request. */
  private readonly sent = new Map<number, Call>();
  /** The most that may be sent and not answered. */
  private window = 1;
  private readonly openSettles = new Map<number, OpenSettle>();
  private settlesToSend: Settle[] = [];
  private cancels: Cancel[] = [];
  private nextSettle = 1;
  /** Streams so far: a tag is good for its own stream only. */
  private epoch = 0;
  private leases = 0;

  constructor(
    private readonly connection: Connection,
    private readonly requestNumber: () => number,
    /** Takes items that are ours but whose get has given up, and sees to it that they come first again. */
    private readonly restore: (items: ItemBatch) => void,
  ) {}

  get busy(): boolean {
    return this.calls.size > 0 || this.openSettles.size > 0;
  }

  get holdsLeases(): boolean {
    return this.leases > 0;
  }

  get(max: number, wait: Wait): Promise<Taken> {
    return this.start(max, wait, false) as Promise<Taken>;
  }

  lease(wait: Wait): Promise<RemoteLease> {
    return this.start(1, wait, true) as Promise<RemoteLease>;
  }

  private start(max: number, wait: Wait, lease: boolean): Promise<Taken | RemoteLease> {
    return new Promise((resolve, reject) => {
      const call: Call = {
        request: 0,
        max,
        lease,
        deadline: new CallTimeout(wait.timeoutMs, this.connection),
        state: 'unsent',
        signal: wait.signal,
        ignoreAbort: () => {},
        reason: undefined,
        resolve,
        reject,
      };
      call.deadline.arm(() => this.expire(call), false);
      this.calls.add(call);
      this.unsent.push(call);
      call.ignoreAbort = onAbort(wait.signal, () => this.abandon(call, call.signal!.reason));
      this.connection.scheduleFlush();
    });
  }

  collectSettles(frame: ClientFrame): void {
    if (this.settlesToSend.length > 0) {
      frame.settles = this.settlesToSend;
      frame.settles[0]!.knownSettles = this.knownSettles;
      this.settlesToSend = [];
    }
  }

  collect(frame: ClientFrame): void {
    this.collectSettles(frame);
    if (this.cancels.length > 0) frame.cancels = [...(frame.cancels ?? []), ...this.cancels.splice(0)];
    const ready = Math.min(this.unsent.length, this.window - this.sent.size);
    if (ready <= 0) return;
    const gets: Get[] = [];
    let last: Get | undefined;
    for (const call of this.unsent.splice(0, ready)) {
      call.state = 'sent';
      call.request = this.requestNumber();
      this.sent.set(call.request, call);
      const waitMs = call.deadline.remainingMs();
      // Neighbours that ask for the same are asked for, delivered and settled together.
      if (last !== undefined && call.max === 1 && last.max === 1 && last.waitMs === waitMs) last.count!++;
      else gets.push((last = { request: call.request, max: call.max, waitMs, count: 1 }));
      if (waitMs !== undefined && call.deadline.timeoutMs !== 0) call.deadline.arm(() => this.expire(call), true);
    }
    frame.gets = gets;
  }

  /** For Open: what was asked and not answered. */
  get unanswered(): number[] {
    return [...this.openSettles.keys()];
  }

  onDelivery(delivery: Delivery): void {
    const request = toNumber(delivery.request);
    const items = ItemBatch.fromWire(delivery.items);
    const tag = toNumber(delivery.tag);
    const { deliveries } = delivery;
    if (delivery.each === true) {
      // Runs of neighbours that were not given up are confirmed together.
      let taking: Call[] = [];
      const unwanted: number[] = [];
      for (let index = 0; index < items.count; index++) {
        const call = this.sent.get(request + index);
        if (call !== undefined && !call.lease) {
          taking.push(call);
          continue;
        }
        this.take(taking, tag + index - taking.length, items.slice(index - taking.length, index), false);
        taking = [];
        if (call === undefined) unwanted.push(tag + index);
        else this.lend(call, tag + index, items.slice(index, index + 1), deliveries?.[index]);
      }
      const from = items.count - taking.length;
      this.take(taking, tag + from, items.slice(from), false);
      // The newest first, each ahead of everything: so they keep their order.
      for (const back of unwanted.reverse()) this.giveBack(back, 1);
    } else {
      const call = this.sent.get(request);
      if (call === undefined) this.giveBack(tag, items.count);
      else if (call.lease) this.lend(call, tag, items, deliveries?.[0]);
      else this.take([call], tag, items, delivery.more === true);
    }
    if (this.unsent.length > 0) this.connection.scheduleFlush();
  }

  /** Items whose get was given up in the meantime. */
  private giveBack(tag: number, count: number): void {
    const nothing = (): void => {};
    this.settle({ tag, count, release: true }, nothing, nothing, nothing);
  }

  /** Confirms the items: all of them for a single call, one each for several. */
  private take(calls: readonly Call[], tag: number, items: ItemBatch, more: boolean): void {
    if (calls.length === 0) return;
    for (const call of calls) {
      call.state = 'settling';
      this.sent.delete(call.request);
    }
    const accept = (): void => {
      const [only] = calls;
      if (calls.length === 1) {
        if (!this.resolve(only!, { items, more })) this.restore(items);
        return;
      }
      // Those whose get gave up go back together, so that they keep their order.
      const left: ItemBatch[] = [];
      for (let index = 0; index < calls.length; index++) {
        const item = items.slice(index, index + 1);
        if (!this.resolve(calls[index]!, { items: item, more })) left.push(item);
      }
      if (left.length > 0) this.restore(ItemBatch.join(left));
    };
    const lost = (): void => {
      for (const call of calls) {
        if (call.state !== 'settling') continue;
        if (call.reason !== undefined) this.reject(call, call.reason.error);
        else call.state = 'unsent';
      }
      this.queueUp();
    };
    this.settle({ tag, count: items.count }, accept, lost, accept);
  }

  onFailure(failure: Failure): boolean {
    const call = this.sent.get(toNumber(failure.request));
    if (call === undefined) return false;
    this.reject(call, errorFromCode(failure.code!, failure.message!));
    if (this.unsent.length > 0) this.connection.scheduleFlush();
    return true;
  }

  onSettled(settled: Settled): void {
    for (const number of settled.done ?? []) this.answer(toNumber(number), 'done');
    for (const number of settled.lost ?? []) this.answer(toNumber(number), 'lost');
  }

  onOpened(opened: Opened, sameInstance: boolean): void {
    this.epoch++;
    this.window = opened.windowItems ?? 1;
    this.cancels = [];
    this.settlesToSend = [];
    const settled = new Set((opened.settled ?? []).map(toNumber));
    for (const number of [...this.openSettles.keys()]) {
      const known = sameInstance && opened.remembered === true;
      this.answer(number, known ? (settled.has(number) ? 'done' : 'lost') : 'unknown');
    }
  }

  onDown(failure: ConnectionFailure): void {
    for (const call of [...this.calls]) {
      const { reason } = call;
      if (reason !== undefined) {
        this.reject(call, reason.error);
      } else if (failure.permanent || call.deadline.timeoutMs === 0) {
        this.reject(call, failure.error);
      } else {
        if (call.state === 'sent') call.state = 'unsent';
        call.deadline.arm(() => this.expire(call), false);
      }
    }
    this.sent.clear();
    this.queueUp();
  }

  failAll(error: unknown): void {
    for (const call of [...this.calls]) this.reject(call, error);
  }

  /** The server is going down: what waits for an item fails; what has one goes on. */
  failWaiting(error: QueueError): void {
    for (const call of [...this.calls]) if (call.state !== 'settling') this.reject(call, error);
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls) call.deadline.setReferenced(referenced);
  }

  private get knownSettles(): number {
    const first = this.openSettles.keys().next();
    return (first.done === true ? this.nextSettle : first.value) - 1;
  }

  private settle(
    what: Pick<Settle, 'tag' | 'count' | 'release'>,
    done: () => void,
    lost: () => void,
    unknown: () => void,
  ): void {
    const number = this.nextSettle++;
    const message: Settle = { settle: number, ...what };
    this.openSettles.set(number, { message, done, lost, unknown });
    this.settlesToSend.push(message);
    this.connection.scheduleFlush();
  }

  private answer(number: number, result: 'done' | 'lost' | 'unknown'): void {
    const open = this.openSettles.get(number);
    if (open === undefined) return;
    this.openSettles.delete(number);
    open[result]();
  }

  private lend(call: Call, tag: number, items: ItemBatch, deliveries = 1): void {
    const { epoch } = this;
    this.leases++;
    let ended: Promise<void> | undefined;
    const end = (release: boolean): Promise<void> => {
      ended ??= new Promise<void>((resolve, reject) => {
        this.leases--;
        // close() gives it back.
        if (this.connection.closing) return release ? resolve() : reject(new QueueClosedError());
        const deadline = new CallTimeout(0, this.connection);
        const gone = (why: string): void => {
          deadline.clear();
          if (release) resolve();
          else
            reject(
              new QueueConnectionError(
                `lease: the connection to ${this.connection.where} broke while the item was on lease; ${why}`,
              ),
            );
        };
        if (epoch !== this.epoch || !this.connection.isOpen) return gone('it went back to the queue');
        deadline.arm(() => gone(OUTCOME_UNKNOWN), false);
        const done = (): void => {
          deadline.clear();
          resolve();
        };
        this.settle(
          { tag, count: 1, release },
          done,
          () => gone('it went back to the queue'),
          () => gone(OUTCOME_UNKNOWN),
        );
      });
      return ended;
    };
    if (this.finish(call)) call.resolve({ items, deliveries, ack: () => end(false), release: () => end(true) });
  }

  /** @returns whether the call still wanted it. */
  private resolve(call: Call, taken: Taken): boolean {
    if (!this.finish(call)) return false;
    call.resolve(taken);
    return true;
  }

  private reject(call: Call, error: unknown): void {
    if (this.finish(call)) call.reject(error);
  }

  private finish(call: Call): boolean {
    if (call.state === 'done') return false;
    if (call.state === 'sent') this.sent.delete(call.request);
    else if (call.state === 'unsent') this.unsent = this.unsent.filter((other) => other !== call);
    call.state = 'done';
    call.deadline.clear();
    call.ignoreAbort();
    this.calls.delete(call);
    return true;
  }

  /** After calls have become unsent again: they keep their places. */
  private queueUp(): void {
    this.unsent = [...this.calls].filter((call) => call.state === 'unsent');
    if (this.unsent.length > 0 && this.connection.isOpen) this.connection.scheduleFlush();
  }

  /** The program stops waiting. What is on its way to it goes back, or to the next get. */
  private abandon(call: Call, reason: unknown): void {
    // One answer away from having the item: then it has it.
    if (call.state === 'settling' && this.connection.isOpen) {
      call.reason = { error: reason };
      return;
    }
    if (call.state === 'sent' && this.connection.isOpen) this.cancels.push({ get: call.request });
    this.reject(call, reason);
    this.connection.scheduleFlush();
  }

  private expire(call: Call): void {
    const { where, isOpen, lastFailure } = this.connection;
    if (!isOpen && call.deadline.extend(() => this.expire(call))) return;
    if (!isOpen) return this.abandon(call, unreachable('get', where, call.deadline, lastFailure));
    // More gets wait than the server takes at a time.
    if (call.state === 'unsent') return this.reject(call, new QueueEmptyError());
    const waited = Math.round(call.deadline.elapsedMs());
    if (call.state === 'sent') this.cancels.push({ get: call.request });
    this.reject(call, new QueueConnectionError(`get: ${where} has not answered within ${waited} ms`));
    this.connection.scheduleFlush();
  }
}
