/**
 * Gets of one handle, in order. What a get receives is its program's at once, and confirmed afterwards: the server keeps what was not
 * confirmed when the connection breaks, until the client is back and says what it has. So an item reaches one program once, however often
 * the connection breaks in between. Loops and streams are served from what was read ahead of them, and so are single gets beside them.
 */
import { QueueConnectionError, QueueEmptyError } from '../../../errors';
import type { QueueError } from '../../../errors';
import type { Wait } from '../../../wait/options';
import { errorFromCode } from '../wire/errors';
import type { ConnectionFailure } from '../wire/errors';
import { ItemBatch } from '../wire/item-batch';
import { toNumber } from '../wire/protocol';
import type { Cancel, ClientFrame, Delivery, Failure, Get, Opened } from '../wire/protocol';
import { CallTimeout, unreachable } from './call-timeout';
import type { Connection } from './connection';
import { GetCall } from './get-call';
import type { GetOptions, Part } from './get-call';
import type { PendingSettles } from './pending-settles';
import type { ReadAhead, ShownItem } from './read-ahead';
import { ShownItems } from './shown-items';

export class PendingGets {
  /** In the order in which they were made. */
  private readonly calls = new Set<GetCall>();
  /** Those that are to be sent, in the same order. */
  private unsent: GetCall[] = [];
  /** Those that were sent and not answered, by request. */
  private readonly sent = new Map<number, GetCall>();
  /** The most that may be sent and not answered. */
  private window = 1;
  private cancels: Cancel[] = [];
  /** Loops and streams that read. */
  private readers = 0;
  /** What was asked ahead and not answered. */
  private asked:
    | { request: number; wanted: number; came: number; /** The program had to wait for it. */ late?: boolean }
    | undefined;
  /** The last answer brought all that was asked ahead: more may be there. */
  private plenty = true;
  private refilling = false;
  /** What the program has, or may have seen, of what was read ahead or lies in streams. */
  readonly shown: ShownItems;

  constructor(
    private readonly connection: Connection,
    private readonly requestNumber: () => number,
    private readonly settles: PendingSettles,
    private readonly ahead: ReadAhead,
  ) {
    this.shown = new ShownItems(connection, settles, ahead, () => this.serveFromAhead());
  }

  get busy(): boolean {
    return this.calls.size > 0;
  }

  /** @param receive what came, as soon as it does: it confirms what the program has of it, unless it is on lease */
  async get<R>(options: GetOptions, wait: Wait, receive: (parts: Part[]) => R): Promise<R> {
    const received = await new Promise<{ value: R | undefined }>((resolve, reject) => {
      const timeout = new CallTimeout(wait.timeoutMs, this.connection);
      const call = new GetCall(options, timeout, (parts) => resolve({ value: receive(parts) }), reject);
      call.listen(wait.signal, (reason) => this.abort(call, reason));
      if (call.state === 'done') return;
      call.deadline.arm(() => this.expire(call), false);
      this.calls.add(call);
      this.unsent.push(call);
      this.serveFromAhead();
      if (options.ahead === true && call.state === 'unsent') this.hasToWait();
      this.connection.scheduleFlush();
    });
    // The promise is old by now, and what it leads to survives a garbage collection or two, needed or not: not thousands of items.
    const { value } = received;
    received.value = undefined;
    return value!;
  }

  // ── reading ahead ────────────────────────────────────────────────────────

  /** A loop or stream begins to read. */
  enter(): void {
    this.readers++;
  }

  /** … and is left: what was read ahead goes back when it was the last one. */
  leave(): void {
    if (--this.readers === 0) this.returnAhead();
  }

  /** An item that was read ahead, if nobody waits for it before and it may be shown. `shown.give` ends it, or `shown.endHeld`. */
  takeAhead(): ShownItem | undefined {
    if (this.ahead.count === 0 || this.unsent.length > 0 || !this.ahead.mayShow) return undefined;
    const shown = this.ahead.show();
    this.refillIfLow();
    return shown;
  }

  /** What a call for one item was given. @throws what its codec says of it */
  giveFirst<T>({ items, tag, ahead }: Part): T {
    return this.shown.give<T>({ items, index: 0, tag }, ahead === true);
  }

  /** Of a delivery that no call wants, or of what was read ahead. */
  requeue(tag: number, count: number): void {
    this.settles.settle(tag, count, 'undo', () => {});
  }

  /** Those that wait first get what was read ahead; whoever wants more than one item, or a lease, gets it from the queue, and all in order. */
  private serveFromAhead(): void {
    while (this.unsent.length > 0 && this.ahead.count > 0) {
      const call = this.unsent[0]!;
      if (call.options.max > 1 || call.options.lease === true) return this.returnAhead();
      if (!this.ahead.mayShow) return this.shown.widen();
      this.unsent.shift();
      const { items, index, tag } = this.ahead.show();
      call.parts.push({ tag, items: items.slice(index, index + 1), deliveries: undefined, ahead: true });
      this.finish(call, () => call.resolve());
    }
    // Those that are left have to ask.
    if (this.unsent.length > 0) this.connection.scheduleFlush();
    this.refillIfLow();
  }

  /** The program would take more than is there, though the queue may have it: the more is read ahead from now on. */
  private hasToWait(): void {
    const { asked, ahead } = this;
    if (ahead.count > 0 || !this.plenty || ahead.shown === 0 || asked?.late === true) return;
    if (asked !== undefined) asked.late = true;
    ahead.grow();
  }

  private refillIfLow(): void {
    if (this.refilling || this.asked !== undefined || !this.plenty || !this.ahead.isLow || this.readers === 0) return;
    if (this.ahead.count === 0) return;
    this.refilling = true;
    this.connection.scheduleFlush();
  }

  /** All that was read ahead and not shown goes back. */
  returnAhead(): void {
    for (const { tag, count } of this.ahead.clear()) this.requeue(tag, count);
    if (this.unsent.length > 0) this.connection.scheduleFlush();
  }

  /** Others wait for what we hold. */
  onRecall(): void {
    this.ahead.shrink();
    this.returnAhead();
  }

  // ── the wire ─────────────────────────────────────────────────────────────

  collect(frame: ClientFrame): void {
    const window = this.shown.takeNewWindow();
    if (window !== undefined) frame.window = window;
    if (this.cancels.length > 0) frame.cancels = [...(frame.cancels ?? []), ...this.cancels.splice(0)];
    const gets: Get[] = [];
    this.collectRefill(gets);
    let room = this.window - this.sent.size;
    const waiting: GetCall[] = [];
    for (const call of this.unsent) {
      // What was asked ahead is about to come: they are served from it. Who does not wait hears from the server.
      const held = (this.asked !== undefined || this.ahead.count > 0) && call.deadline.timeoutMs !== 0;
      if (held || room === 0) waiting.push(call);
      else {
        room--;
        this.send(call, gets);
      }
    }
    this.unsent = waiting;
    if (gets.length > 0) frame.gets = gets;
  }

  private collectRefill(gets: Get[]): void {
    if (!this.refilling) return;
    this.refilling = false;
    const { room } = this.ahead;
    if (room === 0 || this.asked !== undefined || this.readers === 0) return;
    this.asked = { request: this.requestNumber(), wanted: room, came: 0 };
    gets.push({ request: this.asked.request, max: 0, waitMs: 0, given: true, ahead: room });
  }

  private send(call: GetCall, gets: Get[]): void {
    const { max, lease, ahead } = call.options;
    call.state = 'sent';
    call.request = this.requestNumber();
    this.sent.set(call.request, call);
    const waitMs = call.deadline.remainingMs();
    const last = gets[gets.length - 1];
    const given = lease !== true;
    if (ahead === true && !this.ahead.isOff && this.sent.size === 1) {
      this.asked = { request: call.request, wanted: this.ahead.room, came: 0 };
      gets.push({ request: call.request, max, waitMs, given, ahead: this.asked.wanted });
    } else if (last !== undefined && joins(last, max, waitMs, given)) last.count!++;
    else gets.push({ request: call.request, max, waitMs, given, count: 1 });
    if (waitMs !== undefined && call.deadline.timeoutMs !== 0) call.deadline.arm(() => this.expire(call), true);
  }

  onDelivery(delivery: Delivery): void {
    const request = toNumber(delivery.request);
    const items = ItemBatch.fromWire(delivery.items);
    const { deliveries, crashes } = delivery;
    const part: Part = { tag: toNumber(delivery.tag), items, deliveries, crashes };
    if (delivery.each === true) this.deliverEach(request, part);
    else this.deliver(request, part, delivery.more === true);
    this.serveFromAhead();
  }

  private deliver(request: number, { tag, items, deliveries, crashes }: Part, more: boolean): void {
    const call = this.sent.get(request);
    const ahead = this.asked?.request === request ? this.asked : undefined;
    if (call === undefined && ahead === undefined) {
      if (items.count > 0) this.requeue(tag, items.count);
      return;
    }
    const own = call === undefined ? 0 : Math.min(items.count, ahead === undefined ? items.count : call.options.max);
    if (own > 0) call!.parts.push({ tag, items: items.slice(0, own), deliveries, crashes });
    if (ahead !== undefined) {
      ahead.came += items.count - own;
      this.readAhead(tag + own, items.slice(own));
      if (!more) {
        this.plenty = ahead.came >= ahead.wanted || this.ahead.room === 0;
        this.asked = undefined;
      }
    }
    // One that reads ahead has what it waits for; what it is answered beyond that is for others.
    if (call !== undefined && (call.options.lease === true || !more || ahead !== undefined))
      this.finish(call, () => call.resolve());
  }

  private readAhead(tag: number, items: ItemBatch): void {
    if (items.count === 0) return;
    if (this.readers === 0) this.requeue(tag, items.count);
    else this.ahead.add(tag, items);
  }

  /** The answer to as many calls as there are items. */
  private deliverEach(request: number, { tag, items, deliveries, crashes }: Part): void {
    const unwanted: number[] = [];
    for (let index = 0; index < items.count; index++) {
      const call = this.sent.get(request + index);
      if (call === undefined) unwanted.push(tag + index);
      else {
        const item = items.slice(index, index + 1);
        const of = (column: typeof deliveries): typeof deliveries => column?.slice(index, index + 1);
        call.parts.push({ tag: tag + index, items: item, deliveries: of(deliveries), crashes: of(crashes) });
        this.finish(call, () => call.resolve());
      }
    }
    for (const back of unwanted) this.requeue(back, 1);
  }

  onFailure(failure: Failure): boolean {
    const request = toNumber(failure.request);
    const call = this.sent.get(request);
    if (this.asked?.request === request) {
      this.asked = undefined;
      this.plenty = false;
    } else if (call === undefined) return false;
    if (call !== undefined) this.failWith(call, errorFromCode(failure.code!, failure.message!));
    if (this.unsent.length > 0) this.connection.scheduleFlush();
    return true;
  }

  onOpened(opened: Opened): void {
    this.window = opened.windowItems ?? 1;
    this.cancels = [];
    this.shown.takeNewWindow();
    this.shown.onOpened(opened.held ?? []);
  }

  onDown(failure: ConnectionFailure): void {
    this.shown.onDown();
    this.asked = undefined;
    this.refilling = false;
    this.plenty = true;
    for (const call of [...this.calls]) {
      if (failure.permanent || call.deadline.timeoutMs === 0) {
        this.failWith(call, failure.error);
      } else if (call.parts.length > 0) {
        this.finish(call, () => call.resolve());
      } else {
        call.state = 'unsent';
        call.deadline.arm(() => this.expire(call), false);
      }
    }
    this.sent.clear();
    // They keep their places.
    this.unsent = [...this.calls];
    if (this.unsent.length > 0 && this.connection.isOpen) this.connection.scheduleFlush();
  }

  failAll(error: unknown): void {
    for (const call of [...this.calls]) this.failWith(call, error);
  }

  /** The handle is closed, or the server is going down: what waits for an item fails, and what is not shown goes back. */
  stop(error: QueueError): void {
    this.failAll(error);
    this.asked = undefined;
    this.plenty = false;
    this.returnAhead();
    this.shown.stop();
  }

  setReferenced(referenced: boolean): void {
    for (const call of this.calls) call.deadline.setReferenced(referenced);
  }

  /** A call that has a part of what it asked for ends well. */
  private failWith(call: GetCall, error: unknown): void {
    this.finish(call, () => (call.parts.length > 0 ? call.resolve() : call.reject(error)));
  }

  private finish(call: GetCall, tell: () => void): void {
    if (!this.calls.delete(call)) return;
    if (call.state === 'sent') this.sent.delete(call.request);
    else this.unsent = this.unsent.filter((other) => other !== call);
    tell();
  }

  private cancel(call: GetCall): void {
    if (call.state !== 'sent' || !this.connection.isOpen) return;
    this.cancels.push({ get: call.request });
    // No answer will come, or one that nobody knows.
    if (this.asked?.request === call.request) this.asked = undefined;
  }

  /** The program stops waiting. What is on its way to it goes back. */
  private abort(call: GetCall, reason: unknown): void {
    this.cancel(call);
    for (const { tag, items } of call.parts) this.requeue(tag, items.count);
    this.finish(call, () => call.reject(reason));
    this.connection.scheduleFlush();
  }

  private expire(call: GetCall): void {
    const { where, isOpen, lastFailure } = this.connection;
    if (!isOpen && call.deadline.extend(() => this.expire(call))) return;
    if (!isOpen) return this.abort(call, unreachable('get', where, call.deadline, lastFailure));
    const waited = Math.round(call.deadline.elapsedMs());
    if (call.state === 'unsent') return this.expireInLine(call, waited);
    this.cancel(call);
    this.failWith(call, new QueueConnectionError(`get: ${where} has not answered within ${waited} ms`));
    this.connection.scheduleFlush();
  }

  /** There is a stream, and the server was not asked on behalf of the call: that the queue was empty is known where others wait before it. */
  private expireInLine(call: GetCall, waited: number): void {
    const { where } = this.connection;
    const othersWait = this.sent.size >= this.window || this.asked !== undefined;
    if (othersWait) return this.finish(call, () => call.reject(new QueueEmptyError()));
    // A turn of the event loop, and the server knows.
    if (!call.deadline.isLate) return call.deadline.arm(() => this.expire(call), true);
    this.finish(call, () => call.reject(new QueueConnectionError(`get: not sent to ${where} within ${waited} ms`)));
  }
}

/** Whether another call of one item can be asked for together with this get: they are delivered and settled together. */
function joins(last: Get, max: number, waitMs: number | undefined, given: boolean): boolean {
  return last.count !== undefined && max === 1 && last.max === 1 && last.waitMs === waitMs && last.given === given;
}
