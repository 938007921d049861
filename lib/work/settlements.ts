/** How leases end: acknowledged, given back, buried as dead letters, or moved to the back of the queue. */
import { QueueClosedError, QueueFullError, QueueShutDownError, SerializationError } from '../errors';
import { canUndo, endLeases } from '../queue/lease-batch';
import type { Queue } from '../queue/types';
import type { FailureReports } from './failure-reports';
import { Acknowledgements, beginWith } from './held-items';
import type { HeldItem } from './held-items';
import type { WorkOptions } from './options';
import type { Pauses } from './pauses';
import { recordOf } from './retry-record';
import type { RetryRecord } from './retry-record';
import { RunningJob } from './running-job';

/** Not an error: the reason of a call that the consumer itself calls off. */
export const CALLED_OFF = Symbol('called off');

export interface SettlementOwner<T> {
  /** Nothing more is taken. */
  isEnding(): boolean;
  /** The queue had no room for an item that was to move: it pauses here. */
  keep(held: HeldItem<T>, pauseMs: number): void;
  changed(): void;
}

export class Settlements<T> {
  done = 0;
  dead = 0;
  private underWay = 0;
  /** The last of the moves to the back of the queue: they go one after the other. */
  private moves: Promise<unknown> = Promise.resolve();
  /** Puts of dead letters, which may have to wait for room. */
  private readonly burials = new AbortController();
  private readonly acknowledgements = new Acknowledgements(
    (call, items) => void this.settle(call, items, items.length),
  );

  constructor(
    private readonly queue: Queue<T>,
    private readonly options: Pick<WorkOptions<T>, 'bury' | 'retries'>,
    private readonly reports: FailureReports<T>,
    private readonly pauses: Pauses<T>,
    private readonly owner: SettlementOwner<T>,
  ) {}

  /** No end of a lease is under way or kept back. */
  get isQuiet(): boolean {
    return this.underWay === 0 && this.acknowledgements.isEmpty;
  }

  acknowledge(items: readonly HeldItem<T>[]): void {
    for (const held of items) this.acknowledgements.add(held);
  }

  /** Back into the queue, which counts the delivery. */
  requeue(held: HeldItem<T>): void {
    if (canUndo(held.origin.batch)) void this.settle(held.lease.release(), [held]);
    else this.enclose(held, held.deliveries, this.pauses.after(held));
  }

  /** Back as if they had not been taken: no handler has seen them. In the order they are in. */
  giveBack(items: readonly HeldItem<T>[]): void {
    for (const held of items)
      if (canUndo(held.origin.batch))
        void this.settle(endLeases(held.origin.batch, held.index, held.index + 1, 'undo'), [held]);
      else this.enclose(held, held.deliveries - 1, held.deliveries > 1 ? this.pauses.before(held) : 0);
  }

  /** Back into a queue that may know no more of an item than that it came: at its end, if it has room, with what is known of it. */
  private enclose(held: HeldItem<T>, deliveries: number, pauseMs: number): void {
    const record = { deliveries, crashes: held.crashes, dueAtMs: Date.now() + pauseMs };
    const put = async (): Promise<void> => {
      if (!(await this.move(held, record))) await held.lease.release();
    };
    void this.settle(put(), [held]);
  }

  /** @param deliveries attempts */
  async bury(held: HeldItem<T>, error: unknown, deliveries: number): Promise<void> {
    const put = async (): Promise<void> => {
      await this.options.bury?.(held.item, error, { deliveries, crashes: held.crashes, signal: this.burials.signal });
      await held.lease.ack();
      if (this.options.retries) this.dead++;
    };
    // What could not be put comes again, and is tried again after its pause.
    if (!(await this.settle(put(), [held]))) this.requeue(held);
  }

  /** Nothing is on lease: the queue has removed the item, and gave its bytes with the error. */
  buryUndecodable(error: SerializationError, bytes: Uint8Array): void {
    const { bury } = this.options;
    if (bury === undefined) return;
    const put = async (): Promise<void> => {
      await bury(bytes as T, error, { deliveries: 1, crashes: 0, signal: this.burials.signal });
      this.dead++;
    };
    void this.settle(put(), []);
  }

  /**
   * Behind everything else, with what is known of it; kept here where that cannot be. A death between its put and its acknowledgement
   * doubles an item, so no other is put before the one in front of it is acknowledged.
   */
  async moveBack(held: HeldItem<T>, pauseMs: number): Promise<void> {
    const { deliveries, crashes } = held;
    const record = { deliveries: deliveries - 1, crashes, dueAtMs: Date.now() + pauseMs };
    let moved = true;
    await this.settle(
      this.move(held, record).then((was) => void (moved = was)),
      [held],
    );
    if (moved) return;
    if (this.owner.isEnding()) this.giveBack([held]);
    else this.owner.keep(held, pauseMs);
  }

  /** False: the queue did not take it, and it is as it was. */
  private move(held: HeldItem<T>, record: RetryRecord): Promise<boolean> {
    const inItsTurn = this.moves.then(async () => {
      // Should this process die in the middle, it is there twice, and says so.
      beginWith(held);
      try {
        await (this.queue as Queue).put(recordOf(held.item, record), { block: false });
      } catch (error) {
        if (!isNoRoom(error)) this.tell(error, held);
        return false;
      }
      await held.lease.ack();
      return true;
    });
    this.moves = inItsTurn.catch(() => {});
    return inItsTurn;
  }

  /** Dead letters that still wait for room come again instead. */
  callOffBurials(): void {
    this.burials.abort(CALLED_OFF);
  }

  /** @param done so many have been handled once the call is over */
  private async settle(call: Promise<void>, items: readonly HeldItem<unknown>[], done = 0): Promise<boolean> {
    this.underWay++;
    try {
      await call;
      this.done += done;
      return true;
    } catch (error) {
      for (const held of items) this.tell(error, held);
      return false;
    } finally {
      this.underWay--;
      this.owner.changed();
    }
  }

  /** Whoever closed the queue knows that its leases went back. */
  private tell(error: unknown, held: HeldItem<unknown>): void {
    if (error === CALLED_OFF || (this.owner.isEnding() && error instanceof QueueClosedError)) return;
    this.reports.tell(error, held.item as T, new RunningJob(held.deliveries, held.crashes));
  }
}

/** The queue does not take the record: full, shut down, or not made for such an item. */
const isNoRoom = (error: unknown): boolean =>
  error instanceof QueueFullError || error instanceof QueueShutDownError || error instanceof SerializationError;
