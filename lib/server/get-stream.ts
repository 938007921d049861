/** The gets of one session, served in order, and the items that its client has on lease. */
import { QueueConnectionError, QueueEmptyError, QueueError, QueueShutDownError } from '../errors';
import { toNumber } from '../transports/rpc/wire/protocol';
import type { Get, Settle } from '../transports/rpc/wire/protocol';
import type { FrameWriter } from './frame-writer';
import { RequestDeadline } from './request-deadline';
import type { ClientState } from './client-state';
import { DeliveryTable } from './delivery-table';
import type { LeasedRange } from './delivery-table';
import type { LeasedBatch, ServedQueue, Taken } from './served-queue';

/** A client has no more gets waiting than this. */
const MOST_WAITING = 16_384;

/** One get, or as many of one item each as `count` says. */
interface PendingGet {
  request: number;
  max: number;
  count: number;
  deadline: RequestDeadline;
}

export class GetStream {
  private readonly pending: PendingGet[] = [];
  /** Gets in `pending`. */
  private waiting = 0;
  private readonly deliveries = new DeliveryTable();
  private readonly settling = new Set<Promise<void>>();
  private active: AbortController | undefined;
  private working: Promise<void> | undefined;
  private nextTag = 1;
  private progress = 0;
  private ended = false;
  private stopping: QueueError | undefined;
  private onSettled: (() => void) | undefined;

  constructor(
    private readonly served: ServedQueue,
    private readonly client: ClientState | undefined,
    private readonly writer: FrameWriter,
  ) {}

  /** @throws RangeError for more gets than a client may have waiting, or several that want more than one item each */
  push(get: Get): void {
    const pending: PendingGet = {
      request: toNumber(get.request),
      max: Math.max(1, get.max ?? 1),
      count: Math.max(1, get.count ?? 1),
      deadline: new RequestDeadline(get.waitMs),
    };
    if (pending.count > 1 && pending.max > 1)
      throw new RangeError(`${pending.count} gets together want one item each, found max ${pending.max}`);
    this.waiting += pending.count;
    if (this.waiting > MOST_WAITING) throw new RangeError(`${this.waiting} gets wait; at most ${MOST_WAITING} may`);
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
      const rest: PendingGet = { request: request + 1, max: 1, count: after, deadline: get.deadline.copy() };
      this.pending.splice(index + 1, 0, rest);
      this.waitInLine(rest);
    }
    if (get.count === 0) {
      get.deadline.clear();
      this.pending.splice(index, 1);
    }
    if (index === 0) this.active?.abort(new Error('cancelled'));
  }

  settle(settle: Settle): void {
    const number = toNumber(settle.settle);
    this.client?.knownSettles(toNumber(settle.knownSettles));
    const leased = this.deliveries.take(toNumber(settle.tag), toNumber(settle.count));
    if (leased === undefined) return this.writer.settled(number, false);
    const back = settle.release === true;
    let under: void | Promise<void>;
    try {
      under = back ? leased.leased.release(leased.from, leased.to) : leased.leased.ack(leased.from, leased.to);
    } catch {
      under = Promise.reject(new Error('not settled'));
    }
    if (under === undefined) return this.concluded(number, true);
    const work = under
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

  /** The stream is gone: everything on lease goes back, in the order in which it was. */
  async end(): Promise<void> {
    this.ended = true;
    this.active?.abort(new Error('stream ended'));
    for (const get of this.pending) get.deadline.clear();
    await this.working;
    await Promise.all(this.settling);
    await release(this.deliveries.takeAll());
    this.checkSettled();
  }

  private checkSettled(): void {
    if (this.deliveries.size === 0 && this.settling.size === 0) this.onSettled?.();
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
      taken = this.served.takeNow(get.max * get.count);
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
    try {
      const taken = await this.served.take(get.max * get.count, get.deadline.remainingMs, active.signal);
      // It was cancelled meanwhile, or some of its gets were.
      if (this.pending[0] !== get || this.ended || taken.leased.items.count > get.max * get.count)
        return await release([whole(taken.leased)]);
      this.deliver(get, taken);
    } catch (error) {
      if (active.signal.aborted && error === active.signal.reason) return;
      if (error instanceof QueueShutDownError) this.served.shutDown = true;
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
    const tag = this.nextTag;
    const { request } = get;
    const { items, deliveries } = leased;
    const each = get.count > 1;
    const answered = each ? items.count : 1;
    this.nextTag += items.count;
    this.progress++;
    this.waiting -= answered;
    get.request += answered;
    get.count -= answered;
    if (get.count === 0) {
      get.deadline.clear();
      this.pending.shift();
    }
    this.deliveries.add(tag, leased);
    this.writer.delivery({
      request,
      tag,
      items: items.toWire(),
      deliveries: deliveries ?? [],
      more: more && !each,
      each,
    });
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

function whole(leased: LeasedBatch): LeasedRange {
  return { leased, from: 0, to: leased.items.count };
}

/** Newest first, each ahead of everything: the order is as it was. */
async function release(ranges: LeasedRange[]): Promise<void> {
  for (const { leased, from, to } of ranges.reverse()) await leased.release(from, to);
}
