/** The gets of one session, served in order, and the items that its client has. */
import {
  QueueConnectionError,
  QueueEmptyError,
  QueueError,
  QueueProducerLostError,
  QueueShutDownError,
} from '../errors';
import { ItemBatch } from '../transports/rpc/wire/item-batch';
import { toNumber } from '../transports/rpc/wire/protocol';
import type { Get, Settle } from '../transports/rpc/wire/protocol';
import type { ClientState } from './client-state';
import { DeliveryTable, endOf, release, split } from './delivery-table';
import type { Delivery } from './delivery-table';
import type { FrameWriter } from './frame-writer';
import { countsOf } from './leased-batch';
import { RequestDeadline } from './request-deadline';
import type { Holder, ServedQueue } from './served-queue';
import type { Taken } from './taken';

/** A client has no more gets waiting than this. */
const MOST_WAITING = 16_384;
/** The most that is read ahead for one request, beyond the item that reaches it. */
const AHEAD_BYTES = 1024 * 1024;

/** One get, or as many of one item each as `count` says. */
interface PendingGet {
  request: number;
  /** What may still be delivered to it, and read ahead beyond that. */
  max: number;
  ahead: number;
  count: number;
  given: boolean;
  /** It has no need of an item: part of it was delivered, or it only reads ahead. */
  satisfied: boolean;
  aheadBytes: number;
  deadline: RequestDeadline;
}

export class GetStream implements Holder {
  private readonly pending: PendingGet[] = [];
  /** Gets in `pending`. */
  private waiting = 0;
  private readonly deliveries = new DeliveryTable();
  private readonly settling = new Set<Promise<void>>();
  private active: AbortController | undefined;
  private working: Promise<void> | undefined;
  private nextTag: number;
  /** Of what was read ahead, so many items the program may have seen. */
  private window = 0;
  private recalled = false;
  private progress = 0;
  private ended = false;
  private stopping: QueueError | undefined;
  private onSettled: (() => void) | undefined;

  constructor(
    private readonly served: ServedQueue,
    private readonly client: ClientState | undefined,
    private readonly writer: FrameWriter,
    /** What its client has from its stream before. */
    held: readonly Delivery[] = [],
  ) {
    this.nextTag = client?.nextTag ?? 1;
    for (const delivery of held) this.deliveries.add(delivery);
  }

  /** @throws RangeError for more gets than a client may have waiting, or several that want more than one item each */
  push(get: Get): void {
    const given = get.given === true;
    const ahead = given ? (get.ahead ?? 0) : 0;
    const pending: PendingGet = {
      request: toNumber(get.request),
      max: ahead > 0 ? (get.max ?? 0) : Math.max(1, get.max ?? 1),
      ahead,
      count: Math.max(1, get.count ?? 1),
      given,
      satisfied: ahead > 0 && !get.max,
      aheadBytes: 0,
      deadline: new RequestDeadline(get.waitMs),
    };
    if (pending.count > 1 && (pending.max > 1 || ahead > 0))
      throw new RangeError(`${pending.count} gets together want one item each, found max ${pending.max + ahead}`);
    this.waiting += pending.count;
    checkWaiting(this.waiting);
    if (this.stopping !== undefined) return this.fail(pending, this.stopping);
    this.pending.push(pending);
    this.waitInLine(pending);
    this.start();
  }

  private waitInLine(get: PendingGet): void {
    if (this.pending[0] === get) return;
    get.deadline.waitInLine(
      () => this.giveUp(get),
      () => this.progress,
    );
  }

  cancel(request: number): void {
    const index = this.pending.findIndex((get) => get.request <= request && request < get.request + get.count);
    const get = this.pending[index];
    if (get === undefined) return;
    this.waiting--;
    const after = get.request + get.count - 1 - request;
    get.count = request - get.request;
    if (after > 0) {
      const rest: PendingGet = { ...get, request: request + 1, count: after, deadline: get.deadline.copy() };
      this.pending.splice(index + 1, 0, rest);
      this.waitInLine(rest);
    }
    if (get.count === 0) {
      get.deadline.clear();
      this.pending.splice(index, 1);
    }
    if (index === 0) this.active?.abort(new Error('cancelled'));
  }

  setWindow(window: number): void {
    this.window = window;
  }

  get held(): number {
    return this.deliveries.ahead;
  }

  recall(): void {
    if (this.recalled || this.ended) return;
    this.recalled = true;
    this.writer.recall();
  }

  settle(settle: Settle): void {
    const number = toNumber(settle.settle);
    this.client?.knownSettles(toNumber(settle.knownSettles));
    if (toNumber(settle.count) === 0) return this.concluded(number, true);
    const { ahead } = this.deliveries;
    const settled = this.deliveries.settle(toNumber(settle.tag), toNumber(settle.count), endOf(settle));
    if (settled === undefined) return this.concluded(number, false);
    if (this.deliveries.ahead !== ahead) this.aheadChanged();
    const { ended } = settled;
    if (ended === undefined) return this.concluded(number, true);
    const work = Promise.resolve(ended)
      .then(
        () => this.concluded(number, true),
        // The queue would not have it: then nobody may count on it.
        () => this.concluded(number, false),
      )
      .finally(() => {
        this.settling.delete(work);
        this.checkSettled();
      });
    this.settling.add(work);
  }

  /** What waits fails; resolves when every lease is settled. */
  async drain(error: QueueError): Promise<void> {
    this.stopping = error;
    this.active?.abort(new Error('stopping'));
    await this.working;
    for (const get of this.pending.splice(0)) this.fail(get, error);
    await new Promise<void>((resolve) => {
      this.onSettled = resolve;
      this.checkSettled();
    });
  }

  /**
   * The stream is gone: what its client has goes back, in the order in which it was. @param mayReturn then what its program may have seen is
   * kept for the client a while instead.
   */
  async end(mayReturn: boolean): Promise<void> {
    this.ended = true;
    this.active?.abort(new Error('stream ended'));
    for (const get of this.pending) get.deadline.clear();
    await this.working;
    await Promise.all(this.settling);
    const left = this.deliveries.takeAll();
    this.served.holds(this, false);
    const { seen, unseen } = this.divide(left);
    if (mayReturn && this.client !== undefined) {
      await release(unseen, ({ use }) => use !== 'ahead');
      this.client.keep(seen);
    } else await release(left, ({ use }) => use !== 'ahead');
    this.checkSettled();
  }

  /** Into what the program may have seen of what it was given or read ahead, and what it has not, or holds on lease. */
  private divide(deliveries: Delivery[]): { seen: Delivery[]; unseen: Delivery[] } {
    let window = this.window;
    const seen: Delivery[] = [];
    const unseen: Delivery[] = [];
    for (const delivery of deliveries) {
      if (delivery.use === 'given') seen.push(delivery);
      else if (delivery.use === 'lease') unseen.push(delivery);
      else {
        const count = Math.min(window, delivery.to - delivery.from);
        window -= count;
        const [shown, hidden] = split(delivery, count);
        if (count > 0) seen.push(shown);
        if (hidden.to > hidden.from) unseen.push(hidden);
      }
    }
    return { seen, unseen };
  }

  private aheadChanged(): void {
    const { ahead } = this.deliveries;
    if (ahead === 0) this.recalled = false;
    this.served.holds(this, ahead > 0);
  }

  private checkSettled(): void {
    if (this.onSettled !== undefined && this.settling.size === 0 && this.deliveries.isEmpty) this.onSettled();
  }

  private concluded(number: number, done: boolean): void {
    if (done) this.client?.settledNow(number);
    this.writer.settled(number, done);
    this.checkSettled();
  }

  private start(): void {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.pending.length > 0 && !this.ended && this.stopping === undefined) this.start();
    });
  }

  private async work(): Promise<void> {
    while (this.pending.length > 0 && !this.ended && this.stopping === undefined) {
      const { backlog } = this.writer;
      if (backlog !== undefined) await backlog;
      const get = this.pending[0];
      if (get !== undefined && !this.ended && !this.serveAtOnce(get)) await this.serve(get);
    }
  }

  /** With what lies ready; most gets need no waiting and nothing that waiting takes. */
  private serveAtOnce(get: PendingGet): boolean {
    let taken: Taken | undefined;
    try {
      taken = this.served.takeNow(most(get));
    } catch {
      // serve() meets it too, and says so.
    }
    if (taken === undefined) return false;
    this.deliver(get, taken);
    return true;
  }

  private async serve(get: PendingGet): Promise<void> {
    get.deadline.clear();
    const active = (this.active = new AbortController());
    const unwatch = this.served.watchFront(() => active.abort(new Error('nudged')));
    const max = most(get);
    try {
      const taken = get.satisfied
        ? await this.served.take(max, 0, active.signal)
        : await this.served.wait(max, get.deadline.remainingMs, active.signal, this);
      // It was cancelled meanwhile, or some of its gets were.
      if (this.pending[0] !== get || this.ended || taken.leased.items.count > most(get))
        return void (await taken.leased.run.undo(0, taken.leased.run.count));
      this.deliver(get, taken);
    } catch (error) {
      if (active.signal.aborted && error === active.signal.reason) return;
      if (error instanceof QueueShutDownError || error instanceof QueueProducerLostError) this.served.shutDown = true;
      // What else is wrong comes again at the next get.
      if (get.satisfied) return this.conclude(get);
      this.progress++;
      // Gets asked for together have one deadline; any other error may be of one item only.
      this.fail(get, error, error instanceof QueueEmptyError ? get.count : 1);
      if (this.pending[0] === get && get.count === 0) this.pending.shift();
    } finally {
      unwatch();
      this.active = undefined;
    }
  }

  /** To the first in line, or as many of its gets as there are items. */
  private deliver(get: PendingGet, { leased, more }: Taken): void {
    const first = this.nextTag;
    const { request } = get;
    const { items, run } = leased;
    const { count } = run;
    const each = get.count > 1;
    const wanted = each ? count : Math.min(count, get.max);
    this.advance(count);
    const whole: Delivery = { first, use: get.given ? 'given' : 'lease', run, from: 0, to: count };
    const [own, ahead] = split(whole, wanted);
    this.deliveries.add(own);
    if (count > wanted) {
      this.deliveries.add({ ...ahead, use: 'ahead' });
      get.aheadBytes += items.slice(wanted).byteLength;
      this.aheadChanged();
    }
    get.max -= each ? 0 : wanted;
    get.ahead -= count - wanted;
    get.satisfied = true;
    const continues = get.given && !each && more && most(get) > 0 && get.aheadBytes < AHEAD_BYTES;
    if (!continues) this.answered(get, each ? count : 1);
    this.writer.delivery({
      request,
      tag: first,
      items: items.toWire(),
      ...countsOf(run),
      more: get.given ? continues : more && !each,
      each,
    });
  }

  /** Nothing more is there for a get that has no need of it. */
  private conclude(get: PendingGet): void {
    const { request } = get;
    if (this.pending[0] !== get) return;
    this.answered(get, 1);
    this.writer.delivery({ request, tag: this.nextTag, items: ItemBatch.none.toWire(), deliveries: [] });
  }

  private answered(get: PendingGet, count: number): void {
    this.progress++;
    this.waiting -= count;
    get.request += count;
    get.count -= count;
    if (get.count > 0) {
      get.satisfied = false;
      return;
    }
    get.deadline.clear();
    this.pending.shift();
  }

  private advance(count: number): void {
    this.nextTag += count;
    if (this.client !== undefined) this.client.nextTag = this.nextTag;
  }

  private fail(get: PendingGet, error: unknown, count = get.count): void {
    get.deadline.clear();
    const known =
      error instanceof QueueError
        ? error
        : new QueueConnectionError(`the server could not get an item: ${(error as Error).message}`);
    const end = get.request + Math.min(count, get.count);
    while (get.request < end) {
      this.writer.failure({ request: get.request++, code: known.code, message: known.message });
      get.count--;
      this.waiting--;
    }
  }

  /** Its time is over while others are still before it. */
  private giveUp(get: PendingGet): void {
    const index = this.pending.indexOf(get);
    if (index <= 0) return;
    this.pending.splice(index, 1);
    this.fail(get, new QueueEmptyError());
  }
}

/** @throws RangeError for more gets than a client may have waiting */
export function checkWaiting(gets: number): void {
  if (gets > MOST_WAITING) throw new RangeError(`${gets} gets wait; at most ${MOST_WAITING} may`);
}

/** Items that may be taken for it. */
function most(get: PendingGet): number {
  return get.count > 1 ? get.count : get.max + get.ahead;
}
