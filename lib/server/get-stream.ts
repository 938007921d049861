/** The gets of one session, served in order, and the items that its client has on loan. */
import { QueueConnectionError, QueueEmptyError, QueueError, QueueShutDownError } from '../errors';
import { toNumber } from '../transports/rpc/wire/protocol';
import type { Get, Settle } from '../transports/rpc/wire/protocol';
import type { Outbox } from './frame-writer';
import { RequestDeadline } from './request-deadline';
import type { ClientRecord } from './client-state';
import { LoanBook } from './delivery-table';
import type { LoanRange } from './delivery-table';
import type { Loans, ServedQueue, Taken } from './served-queue';

/** A client has no more gets waiting than this. */
const MOST_WAITING = 16_384;

/** One get, or as many of one item each as `count` says. */
interface Want {
  request: number;
  max: number;
  count: number;
  deadline: RequestDeadline;
}

export class GetPump {
  private readonly wants: Want[] = [];
  /** Gets in `wants`. */
  private waiting = 0;
  private readonly loans = new LoanBook();
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
    private readonly record: ClientRecord | undefined,
    private readonly outbox: Outbox,
  ) {}

  /** @throws RangeError for more gets than a client may have waiting, or several that want more than one item each */
  push(get: Get): void {
    const want: Want = {
      request: toNumber(get.request),
      max: Math.max(1, get.max ?? 1),
      count: Math.max(1, get.count ?? 1),
      deadline: new RequestDeadline(get.waitMs),
    };
    if (want.count > 1 && want.max > 1)
      throw new RangeError(`${want.count} gets together want one item each, found max ${want.max}`);
    this.waiting += want.count;
    if (this.waiting > MOST_WAITING) throw new RangeError(`${this.waiting} gets wait; at most ${MOST_WAITING} may`);
    if (this.stopping !== undefined) return this.fail(want, this.stopping);
    this.wants.push(want);
    this.standInLine(want);
    this.start();
  }

  private standInLine(want: Want): void {
    if (this.wants[0] === want) return;
    want.deadline.standInLine(
      () => this.giveUp(want),
      () => this.progress,
    );
  }

  cancel(request: number): void {
    const index = this.wants.findIndex((want) => want.request <= request && request < want.request + want.count);
    const want = this.wants[index];
    if (want === undefined) return;
    this.waiting--;
    const after = want.request + want.count - 1 - request;
    want.count = request - want.request;
    if (after > 0) {
      const rest: Want = { request: request + 1, max: 1, count: after, deadline: want.deadline.copy() };
      this.wants.splice(index + 1, 0, rest);
      this.standInLine(rest);
    }
    if (want.count === 0) {
      want.deadline.clear();
      this.wants.splice(index, 1);
    }
    if (index === 0) this.active?.abort(new Error('cancelled'));
  }

  settle(settle: Settle): void {
    const number = toNumber(settle.settle);
    this.record?.knownSettles(toNumber(settle.knownSettles));
    const loans = this.loans.take(toNumber(settle.tag), toNumber(settle.count));
    if (loans === undefined) return this.outbox.settled(number, false);
    const back = settle.release === true;
    let under: void | Promise<void>;
    try {
      under = back ? loans.loans.release(loans.from, loans.to) : loans.loans.ack(loans.from, loans.to);
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

  /** What waits fails; resolves when every loan is settled. */
  async drain(error: QueueError): Promise<void> {
    this.stopping = error;
    this.active?.abort(new Error('stopping'));
    await this.working;
    for (const want of this.wants.splice(0)) this.fail(want, error);
    await new Promise<void>((resolve) => {
      this.onSettled = resolve;
      this.checkSettled();
    });
  }

  /** The stream is gone: everything on loan goes back, in the order in which it was. */
  async end(): Promise<void> {
    this.ended = true;
    this.active?.abort(new Error('stream ended'));
    for (const want of this.wants) want.deadline.clear();
    await this.working;
    await Promise.all(this.settling);
    await release(this.loans.takeAll());
    this.checkSettled();
  }

  private checkSettled(): void {
    if (this.loans.size === 0 && this.settling.size === 0) this.onSettled?.();
  }

  private concluded(number: number, done: boolean): void {
    if (done) this.record?.settledNow(number);
    this.outbox.settled(number, done);
    this.checkSettled();
  }

  private start(): void {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
      if (this.wants.length > 0 && !this.ended && this.stopping === undefined) this.start();
    });
  }

  private async work(): Promise<void> {
    while (this.wants.length > 0 && !this.ended && this.stopping === undefined) {
      const { backlog } = this.outbox;
      if (backlog !== undefined) await backlog;
      const want = this.wants[0];
      if (want !== undefined && !this.ended && !this.serveAtOnce(want)) await this.serve(want);
    }
  }

  /** With what lies ready; most gets need no waiting and nothing that waiting takes. */
  private serveAtOnce(want: Want): boolean {
    let taken: Taken | undefined;
    try {
      taken = this.served.takeNow(want.max * want.count);
    } catch {
      // serve() meets it too, and says so.
    }
    if (taken === undefined) return false;
    this.deliver(want, taken);
    return true;
  }

  private async serve(want: Want): Promise<void> {
    want.deadline.clear();
    const active = (this.active = new AbortController());
    const unwatch = this.served.watchFront(() => active.abort(new Error('nudged')));
    try {
      const taken = await this.served.take(want.max * want.count, want.deadline.remainingMs, active.signal);
      // It was cancelled meanwhile, or some of its gets were.
      if (this.wants[0] !== want || this.ended || taken.loans.items.count > want.max * want.count)
        return await release([whole(taken.loans)]);
      this.deliver(want, taken);
    } catch (error) {
      if (active.signal.aborted && error === active.signal.reason) return;
      if (error instanceof QueueShutDownError) this.served.shutDown = true;
      this.progress++;
      // Gets asked for together have one deadline; any other error may be of one item only.
      this.fail(want, error, error instanceof QueueEmptyError ? want.count : 1);
      if (this.wants[0] === want && want.count === 0) this.wants.shift();
    } finally {
      unwatch();
      this.active = undefined;
    }
  }

  /** To the first in line, or as many of its gets as there are items. */
  private deliver(want: Want, { loans, more }: Taken): void {
    const tag = this.nextTag;
    const { request } = want;
    const { items, deliveries } = loans;
    const each = want.count > 1;
    const answered = each ? items.count : 1;
    this.nextTag += items.count;
    this.progress++;
    this.waiting -= answered;
    want.request += answered;
    want.count -= answered;
    if (want.count === 0) {
      want.deadline.clear();
      this.wants.shift();
    }
    this.loans.add(tag, loans);
    this.outbox.delivery({
      request,
      tag,
      items: items.toWire(),
      deliveries: deliveries ?? [],
      more: more && !each,
      each,
    });
  }

  private fail(want: Want, error: unknown, count = want.count): void {
    want.deadline.clear();
    const known =
      error instanceof QueueError
        ? error
        : new QueueConnectionError(`the server could not get an item: ${(error as Error).message}`);
    const end = want.request + Math.min(count, want.count);
    while (want.request < end) {
      this.outbox.failure({ request: want.request++, code: known.code, message: known.message });
      want.count--;
      this.waiting--;
    }
  }

  /** Its time is over while others are still before it. */
  private giveUp(want: Want): void {
    const index = this.wants.indexOf(want);
    if (index <= 0) return;
    this.wants.splice(index, 1);
    this.fail(want, new QueueEmptyError());
  }
}

function whole(loans: Loans): LoanRange {
  return { loans, from: 0, to: loans.items.count };
}

/** Newest first, each ahead of everything: the order is as it was. */
async function release(ranges: LoanRange[]): Promise<void> {
  for (const { loans, from, to } of ranges.reverse()) await loans.release(from, to);
}
