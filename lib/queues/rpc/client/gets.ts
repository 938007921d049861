/**
 * Gets of one handle. A delivery is a loan: it is settled before the program sees its items, and the program sees them only once
 * the server has confirmed that. So an item reaches one program once, however often the connection breaks in between.
 */
import { QueueConnectionError } from '../../../errors';
import type { QueueError } from '../../../errors';
import { errorFromCode } from '../failures';
import type { LinkFailure } from '../failures';
import { ItemBatch } from '../item-batch';
import { toNumber } from '../protocol';
import type { Cancel, ClientFrame, Delivery, Failure, Get, Opened, Settle, Settled } from '../protocol';
import { Deadline, OUTCOME_UNKNOWN, unreachable } from './waiting';
import type { Host, Wait } from './waiting';

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
  request: number;
  max: number;
  lease: boolean;
  deadline: Deadline;
  state: 'unsent' | 'sent' | 'settling' | 'done';
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
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

export class GetLedger {
  /** In the order in which they were made. */
  private calls: Call[] = [];
  private readonly openSettles = new Map<number, OpenSettle>();
  private settlesToSend: Settle[] = [];
  private cancels: Cancel[] = [];
  private nextSettle = 1;
  /** Streams so far: a tag is good for its own stream only. */
  private epoch = 0;
  private leases = 0;

  constructor(
    private readonly host: Host,
    private readonly requestNumber: () => number,
    /** Takes items that are ours but whose get has given up, and sees to it that they come first again. */
    private readonly restore: (items: ItemBatch) => void,
  ) {}

  get busy(): boolean {
    return this.calls.length > 0 || this.openSettles.size > 0;
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
        deadline: new Deadline(wait.waitMs, this.host),
        state: 'unsent',
        signal: wait.signal,
        onAbort: undefined,
        reason: undefined,
        resolve,
        reject,
      };
      if (wait.signal !== undefined) {
        call.onAbort = () => this.abandon(call, call.signal!.reason);
        wait.signal.addEventListener('abort', call.onAbort, { once: true });
      }
      call.deadline.arm(() => this.expire(call), false);
      this.calls.push(call);
      this.host.stir();
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
    const gets: Get[] = [];
    for (const call of this.calls) {
      if (call.state !== 'unsent') continue;
      call.state = 'sent';
      call.request = this.requestNumber();
      gets.push({ request: call.request, max: call.max, waitMs: call.deadline.remainingMs() });
      if (call.deadline.waitMs !== 0) call.deadline.arm(() => this.expire(call), true);
    }
    if (gets.length > 0) frame.gets = gets;
  }

  /** For Open: what was asked and not answered. */
  get unanswered(): number[] {
    return [...this.openSettles.keys()];
  }

  onDelivery(delivery: Delivery): void {
    const request = toNumber(delivery.request);
    const call = this.calls.find((candidate) => candidate.request === request && candidate.state === 'sent');
    const items = ItemBatch.fromWire(delivery.items);
    const tag = toNumber(delivery.tag);
    if (call === undefined) {
      // Its get was given up in the meantime.
      this.settle(
        { tag, count: items.count, release: true },
        () => {},
        () => {},
        () => {},
      );
      return;
    }
    if (call.lease) return this.lend(call, tag, items, delivery.deliveries?.[0] ?? 1);
    call.state = 'settling';
    const accept = (): void => {
      if (call.state === 'settling') this.finish(call, () => call.resolve({ items, more: delivery.more === true }));
      else this.restore(items);
    };
    const lost = (): void => {
      if (call.state !== 'settling') return;
      const { reason } = call;
      if (reason !== undefined) return this.finish(call, () => call.reject(reason.error));
      call.state = 'unsent';
      this.host.stir();
    };
    this.settle({ tag, count: items.count }, accept, lost, accept);
  }

  onFailure(failure: Failure): boolean {
    const request = toNumber(failure.request);
    const call = this.calls.find((candidate) => candidate.request === request && candidate.state === 'sent');
    if (call === undefined) return false;
    this.finish(call, () => call.reject(errorFromCode(failure.code!, failure.message!)));
    return true;
  }

  onSettled(settled: Settled): void {
    for (const number of settled.done ?? []) this.answer(toNumber(number), 'done');
    for (const number of settled.lost ?? []) this.answer(toNumber(number), 'lost');
  }

  onOpened(opened: Opened, sameInstance: boolean): void {
    this.epoch++;
    this.cancels = [];
    this.settlesToSend = [];
    const settled = new Set((opened.settled ?? []).map(toNumber));
    for (const number of [...this.openSettles.keys()]) {
      const known = sameInstance && opened.remembered === true;
      this.answer(number, known ? (settled.has(number) ? 'done' : 'lost') : 'unknown');
    }
  }

  onDown(failure: LinkFailure): void {
    for (const call of [...this.calls]) {
      const { reason } = call;
      if (reason !== undefined) {
        this.finish(call, () => call.reject(reason.error));
      } else if (failure.permanent || call.deadline.waitMs === 0) {
        this.finish(call, () => call.reject(failure.error));
      } else {
        if (call.state === 'sent') call.state = 'unsent';
        call.deadline.arm(() => this.expire(call), false);
      }
    }
  }

  failAll(error: unknown): void {
    for (const call of [...this.calls]) this.finish(call, () => call.reject(error));
  }

  /** The server is going down: what waits for an item fails; what has one goes on. */
  failWaiting(error: QueueError): void {
    for (const call of [...this.calls]) if (call.state !== 'settling') this.finish(call, () => call.reject(error));
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
    this.host.stir();
  }

  private answer(number: number, result: 'done' | 'lost' | 'unknown'): void {
    const open = this.openSettles.get(number);
    if (open === undefined) return;
    this.openSettles.delete(number);
    open[result]();
  }

  private lend(call: Call, tag: number, items: ItemBatch, deliveries: number): void {
    const { epoch } = this;
    this.leases++;
    let ended: Promise<void> | undefined;
    const end = (release: boolean): Promise<void> => {
      ended ??= new Promise<void>((resolve, reject) => {
        this.leases--;
        const deadline = new Deadline(0, this.host);
        const gone = (why: string): void => {
          deadline.clear();
          if (release) resolve();
          else
            reject(
              new QueueConnectionError(
                `lease: the connection to ${this.host.where} broke while the item was on loan; ${why}`,
              ),
            );
        };
        if (epoch !== this.epoch || !this.host.isOpen) return gone('it went back to the queue');
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
    this.finish(call, () => call.resolve({ items, deliveries, ack: () => end(false), release: () => end(true) }));
  }

  private finish(call: Call, tell: () => void): void {
    if (call.state === 'done') return;
    call.state = 'done';
    call.deadline.clear();
    if (call.onAbort !== undefined) call.signal!.removeEventListener('abort', call.onAbort);
    const index = this.calls.indexOf(call);
    if (index >= 0) this.calls.splice(index, 1);
    tell();
  }

  /** The program stops waiting. What is on its way to it goes back, or to the next get. */
  private abandon(call: Call, reason: unknown): void {
    // One answer away from having the item: then it has it.
    if (call.state === 'settling' && this.host.isOpen) {
      call.reason = { error: reason };
      return;
    }
    if (call.state === 'sent' && this.host.isOpen) this.cancels.push({ get: call.request });
    this.finish(call, () => call.reject(reason));
    this.host.stir();
  }

  private expire(call: Call): void {
    const { where, isOpen, lastFailure } = this.host;
    if (!isOpen && call.deadline.extend(() => this.expire(call))) return;
    if (!isOpen) return this.abandon(call, unreachable('get', where, call.deadline, lastFailure));
    const waited = Math.round(call.deadline.elapsedMs());
    const error = new QueueConnectionError(`get: ${where} has not answered within ${waited} ms`);
    if (call.state === 'sent') this.cancels.push({ get: call.request });
    this.finish(call, () => call.reject(error));
    this.host.stir();
  }
}
