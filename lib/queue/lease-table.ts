/** The book of leases of one handle: which are open. A lease ends once, and only for itself; what its end means is its queue's to say. */
import { QueueClosedError } from '../errors';
import { HeldLease } from './held-lease';
import type { Awaitable, Lease } from './types';

/** How a lease ends. undo: nobody saw the item, which goes back as if it had not been lent. */
export type LeaseEnd = 'ack' | 'release' | 'undo';

/** Items on lease together, as their queue keeps them. */
export interface HeldItems {
  /** Ends the leases from … to - 1, all of them open until now; the items that go back come again in the order they had. */
  end(from: number, to: number, acknowledge: boolean): Awaitable<void>;
  /** The items go back as if they had not been lent. Where a queue cannot do that, they go back as others do. */
  undo?(from: number, to: number): Awaitable<void>;
  /**
   * The items wait here for their turn, or (aside false) it has come. What is aside when its holder dies or lets go of the queue comes again
   * as if it had not been lent. Without this method it counts as delivered.
   */
  setAside?(from: number, to: number, aside: boolean): void;
  deliveries(index: number): number;
  crashes(index: number): number;
}

/** What an ack says that comes too late. */
export const leaseLostError = (): QueueClosedError =>
  new QueueClosedError('The handle was closed before this lease was acknowledged: its item went back to the queue.');

const OPEN = 0;
const ENDED = 1;
/** Its handle was closed. */
const LOST = 2;
type State = typeof OPEN | typeof ENDED | typeof LOST;

/** Leases from … to - 1 of a run. */
type Stretch = readonly [from: number, to: number];

/** `next`, once `before` is over. What fails first is what fails, and keeps nothing from its turn. */
function inTurn(before: Awaitable<void>, next: () => Awaitable<void>): Awaitable<void> {
  if (before === undefined) {
    try {
      return next();
    } catch (error) {
      return Promise.reject(error);
    }
  }
  const failed = async (error: unknown): Promise<never> => {
    try {
      await next();
    } catch {
      // The first to fail says so.
    }
    throw error;
  };
  return before.then(next, failed);
}

/** Leases that were taken together. Most end together, too: one state says it for all of them until some end alone. */
export class LeaseRun {
  private all: State = OPEN;
  private each: Uint8Array | undefined;
  /** How many are open. */
  open: number;

  constructor(
    readonly count: number,
    readonly held: HeldItems,
    private readonly table?: LeaseTable,
  ) {
    this.open = count;
  }

  /**
   * Ends those of the leases from … to - 1 that are open. They have ended when this returns; their queue is told once `after` is over,
   * however that ends. @throws QueueClosedError for an ack of one that its handle's close ended
   */
  end(from: number, to: number, acknowledge: boolean, after?: Awaitable<void>): Awaitable<void> {
    const lost = this.tellLost(from, to);
    const ended = this.endAs(from, to, (first, end) => this.held.end(first, end, acknowledge), ENDED, after);
    if (lost && acknowledge) {
      // Nobody else would hear how `after` ended.
      ended?.then(undefined, () => {});
      throw leaseLostError();
    }
    return ended;
  }

  /** Those that are open go back unseen: as if they had not been lent, where their queue can do that. */
  undo(from: number, to: number, after?: Awaitable<void>): Awaitable<void> {
    const { held } = this;
    const undo = (first: number, end: number): Awaitable<void> =>
      held.undo === undefined ? held.end(first, end, false) : held.undo(first, end);
    return this.endAs(from, to, undo, ENDED, after);
  }

  /** Whether undo() leaves no trace. */
  get canUndo(): boolean {
    return this.held.undo !== undefined;
  }

  /** Of those that are open. */
  setAside(from: number, to: number, aside: boolean): void {
    for (const [first, end] of this.openIn(from, to)) this.held.setAside?.(first, end, aside);
  }

  /** The handle goes, and what is open goes back. */
  lose(): Awaitable<void> {
    return this.endAs(0, this.count, (first, end) => this.held.end(first, end, false), LOST);
  }

  /** In as few calls as there are stretches of open ones, the first one first: whoever waits gets what goes back first. */
  private endAs(
    from: number,
    to: number,
    how: (first: number, end: number) => Awaitable<void>,
    state: State,
    after?: Awaitable<void>,
  ): Awaitable<void> {
    let ended = after;
    for (const [first, end] of this.close(from, to, state)) ended = inTurn(ended, () => how(first, end));
    return ended;
  }

  /** Marks the open ones. @returns the stretches that they formed */
  private close(from: number, to: number, state: State): Stretch[] {
    const stretches = this.openIn(from, to);
    for (const [first, end] of stretches) {
      this.mark(first, end, state);
      this.open -= end - first;
      this.table?.ended(this, end - first);
    }
    return stretches;
  }

  /** The stretches of open ones among from … to - 1. */
  openIn(from: number, to: number): Stretch[] {
    const { each } = this;
    if (each === undefined) return this.all === OPEN && from < to ? [[from, to]] : [];
    const stretches: Stretch[] = [];
    for (let first = each.indexOf(OPEN, from); first !== -1 && first < to;) {
      let end = first + 1;
      while (end < to && each[end] === OPEN) end++;
      stretches.push([first, end]);
      first = each.indexOf(OPEN, end);
    }
    return stretches;
  }

  private mark(from: number, to: number, state: State): void {
    if (this.each === undefined && from === 0 && to === this.count) this.all = state;
    else (this.each ??= new Uint8Array(this.count).fill(this.all)).fill(state, from, to);
  }

  /** Whether any was lost; its holder hears of it once. */
  private tellLost(from: number, to: number): boolean {
    const lost = this.has(LOST, from, to);
    if (lost) this.mark(from, to, ENDED); // none of them is open: their handle is closed
    return lost;
  }

  /** Whether the leases from … to - 1 are all open. */
  isOpen(from: number, to: number): boolean {
    if (this.each === undefined) return this.all === OPEN;
    return this.each.subarray(from, to).every((state) => state === OPEN);
  }

  /** Whether one of the leases from … to - 1 is open. */
  isAnyOpen(from: number, to: number): boolean {
    return this.open > 0 && this.has(OPEN, from, to);
  }

  private has(state: State, from: number, to: number): boolean {
    if (this.each === undefined) return this.all === state && from < to;
    const at = this.each.indexOf(state, from);
    return at !== -1 && at < to;
  }

  /** One of them, for whoever holds its item. */
  lease<T>(index: number, item: T): Lease<T> {
    const { held } = this;
    return new HeldLease(item, held.deliveries(index), held.crashes(index), (acknowledge) =>
      this.end(index, index + 1, acknowledge),
    );
  }
}

export class LeaseTable {
  private readonly runs = new Set<LeaseRun>();
  /** How many leases are open. */
  open = 0;

  lend(count: number, held: HeldItems): LeaseRun {
    const run = new LeaseRun(count, held, this);
    if (count > 0) this.runs.add(run);
    this.open += count;
    return run;
  }

  ended(run: LeaseRun, count: number): void {
    this.open -= count;
    if (run.open === 0) this.runs.delete(run);
  }

  /** The handle goes: all that is open goes back, the oldest first. */
  async lose(): Promise<void> {
    for (const run of [...this.runs]) await run.lose();
  }

  /** … where the items go back at once. */
  loseNow(): void {
    for (const run of [...this.runs]) void run.lose();
  }
}
