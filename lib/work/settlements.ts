/** How leases end: acknowledged, given back, buried as dead letters, or moved to the back of the queue. */
import { QueueClosedError, QueueFullError, QueueShutDownError, QueueTimeoutError, SerializationError } from '../errors';
import { endLeases } from '../queue/lease-batch';
import type { Queue } from '../queue/types';
import { Burials } from './burials';
import { deadOnArrival } from './dead-letter';
import type { FailureReports } from './failure-reports';
import { Acknowledgements, asItComesAgain, beginWith, goesBack, holdBytes } from './held-items';
import type { HeldItem } from './held-items';
import type { WorkOptions } from './options';
import type { Pauses } from './pauses';
import { recordIn, recordOf } from './retry-record';
import type { RetryRecord } from './retry-record';
import { RunningJob } from './running-job';
import { CALLED_OFF } from './takes';

export interface SettlementOwner<T> {
  /** Nothing more is taken. */
  isEnding(): boolean;
  /** Whether what cannot go back may still run here. */
  mayKeep(held: HeldItem<T>): boolean;
  /** The queue did not take an item that was to move: it pauses here. */
  keep(held: HeldItem<T>, pauseMs: number): void;
  changed(): void;
}

export class Settlements<T> {
  done = 0;
  dead = 0;
  private underWay = 0;
  /** The last of the moves to the back of the queue: they go one after the other. */
  private moves: Promise<unknown> = Promise.resolve();
  readonly burials: Burials<T>;
  private readonly acknowledgements = new Acknowledgements(
    (call, items) => void this.settle(call, items, items.length),
  );

  constructor(
    private readonly queue: Queue<T>,
    private readonly options: Pick<WorkOptions<T>, 'bury' | 'retries'>,
    private readonly reports: FailureReports<T>,
    private readonly pauses: Pauses<T>,
    private readonly owner: SettlementOwner<T>,
  ) {
    this.burials = new Burials(options.bury);
  }

  /** No end of a lease is under way or kept back. */
  get isQuiet(): boolean {
    return this.underWay === 0 && this.acknowledgements.isEmpty;
  }

  acknowledge(items: readonly HeldItem<T>[]): void {
    for (const held of items) this.acknowledgements.add(held);
  }

  /** Back into the queue, which counts the delivery. */
  requeue(held: HeldItem<T>): void {
    void this.settle(this.comeAgain(held), [held]);
  }

  private comeAgain(held: HeldItem<T>): Promise<void> {
    if (!goesBack(held)) return this.enclose(held, held.deliveries, this.pauses.after(held));
    // One that paused and could not be buried: what is aside would not be counted.
    beginWith(held);
    return held.lease.release();
  }

  /** Back as if they had not been taken: no handler has seen them. In the order they are in. */
  giveBack(items: readonly HeldItem<T>[]): void {
    for (const held of items)
      if (goesBack(held)) void this.settle(undo(held), [held]);
      else if (held.origin.undecodable !== undefined) this.buryOnArrival(held);
      else {
        const pauseMs = held.deliveries > 1 ? this.pauses.before(held) : 0;
        void this.settle(this.enclose(held, held.deliveries - 1, pauseMs), [held]);
      }
  }

  /** Back into a queue that may know no more of an item than that it came: at its end, with what is known of it. */
  private enclose(held: HeldItem<T>, deliveries: number, pauseMs: number): Promise<void> {
    const record = recordIn(pauseMs, { deliveries, crashes: held.crashes });
    return this.moveOrKeep(held, record, asItComesAgain(held, record), pauseMs);
  }

  /** @param deliveries attempts */
  bury(held: HeldItem<T>, error: unknown, deliveries: number): void {
    const put = async (): Promise<void> => {
      try {
        await this.burials.put(held, error, deliveries);
      } catch (failure) {
        // What could not be put comes again, and is tried again after its pause.
        this.tell(failure === CALLED_OFF ? lostWith(held) : failure, held);
        return this.comeAgain(held);
      }
      try {
        await held.lease.ack();
      } finally {
        if (this.options.retries || held.origin.undecodable !== undefined) this.dead++;
      }
    };
    void this.settle(put(), [held]);
  }

  /** What no handler gets. */
  buryOnArrival(held: HeldItem<T>): void {
    const { undecodable } = held.origin;
    if (undecodable === undefined) this.bury(held, deadOnArrival(held), held.deliveries - 1);
    else this.bury(held, undecodable, 1);
  }

  /** The queue has removed the item, and gave its bytes with the error. */
  buryUndecodable(error: SerializationError, bytes: Uint8Array): void {
    if (this.options.bury !== undefined) this.buryOnArrival(holdBytes(error, bytes));
  }

  /**
   * Behind everything else, with what is known of it; kept here where that cannot be. A death between its put and its acknowledgement
   * doubles an item, so no other is put before the one in front of it is acknowledged.
   */
  moveBack(held: HeldItem<T>, pauseMs: number): void {
    const { deliveries, crashes } = held;
    const record = recordIn(pauseMs, { deliveries: deliveries - 1, crashes });
    void this.settle(this.moveOrKeep(held, record, held, pauseMs), [held]);
  }

  /** An item is in the queue or here: a lease whose release is another put would lose what the queue does not take. @param kept how it stays */
  private async moveOrKeep(held: HeldItem<T>, record: RetryRecord, kept: HeldItem<T>, pauseMs: number): Promise<void> {
    const refusal = held.origin.undecodable === undefined ? await this.move(held, record) : { error: CALLED_OFF };
    if (refusal === undefined) return;
    const isTold = !isNoRoom(refusal.error);
    if (isTold) this.tell(refusal.error, held);
    if (this.owner.mayKeep(held)) return this.owner.keep(kept, pauseMs);
    await undo(held).catch((error: unknown) => {
      if (!isTold) throw error;
    });
  }

  /** @returns why the queue did not take it: then it is as it was */
  private move(held: HeldItem<T>, record: RetryRecord): Promise<{ error: unknown } | undefined> {
    const inItsTurn = this.moves.then(async () => {
      // Should this process die in the middle, it is there twice, and says so.
      beginWith(held);
      try {
        await (this.queue as Queue).put(recordOf(held.item, record), { block: false });
      } catch (error) {
        return { error };
      }
      await held.lease.ack();
      return undefined;
    });
    this.moves = inItsTurn.catch(() => {});
    return inItsTurn;
  }

  /** @param done so many have been handled once the call is over */
  private async settle(call: Promise<void>, items: readonly HeldItem<unknown>[], done = 0): Promise<void> {
    this.underWay++;
    try {
      await call;
      this.done += done;
    } catch (error) {
      for (const held of items) this.tell(error, held);
    } finally {
      this.underWay--;
      this.owner.changed();
    }
  }

  /** Whoever closed the queue knows that its leases went back, where they do. */
  private tell(error: unknown, held: HeldItem<unknown>): void {
    const wentBack = this.owner.isEnding() && error instanceof QueueClosedError && goesBack(held);
    if (error === CALLED_OFF || wentBack) return;
    this.reports.tell(error, held.item as T, new RunningJob(held.deliveries, held.crashes));
  }
}

/** As if it had not been taken, where its queue knows of that. */
const undo = ({ origin, index }: HeldItem<unknown>): Promise<void> => endLeases(origin.batch, index, index + 1, 'undo');

/** Of a burial that was called off: nobody else has the bytes. */
const lostWith = ({ origin: { undecodable } }: HeldItem<unknown>): unknown =>
  undecodable === undefined
    ? CALLED_OFF
    : new QueueTimeoutError(
        'The consumer was stopped before its dead letters took the bytes of an item that cannot be decoded: they are lost.',
        { cause: undecodable },
      );

/** The queue does not take the record: full, shut down, or not made for such an item. */
const isNoRoom = (error: unknown): boolean =>
  error instanceof QueueFullError || error instanceof QueueShutDownError || error instanceof SerializationError;
