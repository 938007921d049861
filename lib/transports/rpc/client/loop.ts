/** Loops and streams over a remote queue: what they need next is read ahead. */
import { isUnknownSchema } from '../../../codec/struct/codec';
import { QueueClosedError, QueueShutDownError } from '../../../errors';
import type { HeldItem, ItemSource } from '../../../queue/streams';
import { onAbort } from '../../../wait/abort-listeners';
import { isTurnOver, nextTurn } from '../../../wait/fairness';
import type { PendingGets } from './pending-gets';
import type { ShownItem } from './read-ahead';
import type { Held, ShownItems } from './shown-items';

const DONE = { done: true, value: undefined } as const;

/** Whether something reads; leaving twice is leaving once. */
class Reading {
  private reads = false;

  constructor(readonly gets: PendingGets) {}

  enter(): void {
    if (!this.reads) this.gets.enter();
    this.reads = true;
  }

  leave(): void {
    if (this.reads) this.gets.leave();
    this.reads = false;
  }
}

export class AheadIterator<T> implements AsyncIterator<T> {
  private readonly leaving = new AbortController();
  private readonly reading: Reading;

  constructor(
    gets: PendingGets,
    private readonly checkOpen: () => void,
  ) {
    this.reading = new Reading(gets);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.leaving.signal.aborted) return Promise.resolve(DONE);
    const { gets } = this.reading;
    this.reading.enter();
    const shown = gets.takeAhead();
    return shown === undefined ? this.wait() : this.show(shown);
  }

  /** A get that still waits is called off, so that no item goes to a loop that has left. */
  async return(): Promise<IteratorResult<T>> {
    this.leaving.abort(DONE);
    this.reading.leave();
    return DONE;
  }

  private async wait(): Promise<IteratorResult<T>> {
    const { signal } = this.leaving;
    try {
      this.checkOpen();
      const { gets } = this.reading;
      const wait = { timeoutMs: Infinity, signal };
      const value = await gets.get({ max: 1, ahead: true }, wait, ([part]) => gets.giveFirst<T>(part!));
      return await inTurn(value);
    } catch (error) {
      // A loop that ends with an error is not told to return.
      this.reading.leave();
      if (error instanceof QueueShutDownError || error === signal.reason) return DONE;
      throw error;
    }
  }

  private async show(shown: ShownItem): Promise<IteratorResult<T>> {
    try {
      return await inTurn(this.reading.gets.shown.give<T>(shown, true));
    } catch (error) {
      this.reading.leave();
      throw error;
    }
  }
}

/** The event loop goes on between many. */
async function inTurn<T>(value: T): Promise<IteratorResult<T>> {
  if (isTurnOver(1)) await nextTurn();
  return { done: false, value };
}

/** An item in a stream. One small object, since there is one for each. */
class StreamItem<T> implements HeldItem<T>, Held {
  item!: T;
  isBack = false;

  constructor(
    private readonly shown: ShownItems,
    readonly tag: number,
    public ahead: boolean,
  ) {}

  ack(): Promise<void> | undefined {
    if (this.isBack) return Promise.reject(new QueueClosedError());
    this.shown.endHeld(this, false);
    return undefined;
  }

  async release(): Promise<void> {
    this.shown.endHeld(this, true);
  }
}

/** Leases for a stream, which acknowledges an item when it leaves the stream. */
export class AheadLeases<T> implements ItemSource<T> {
  private readonly reading: Reading;
  private watched: AbortSignal | undefined;

  constructor(
    gets: PendingGets,
    private readonly checkOpen: () => void,
  ) {
    this.reading = new Reading(gets);
  }

  async lease({ signal }: { signal: AbortSignal }): Promise<HeldItem<T>> {
    this.checkOpen();
    if (this.watched !== signal) onAbort((this.watched = signal), () => this.reading.leave());
    this.reading.enter();
    if (isTurnOver(0)) await nextTurn();
    const shown = this.leaseNow({ signal });
    if (shown !== undefined) return shown;
    try {
      const wait = { timeoutMs: Infinity, signal };
      return await this.reading.gets.get({ max: 1, ahead: true }, wait, ([part]) =>
        this.held({ tag: part!.tag, items: part!.items, index: 0 }, part!.ahead === true),
      );
    } catch (error) {
      this.reading.leave();
      throw error;
    }
  }

  /** One that was read ahead, unless the event loop is due. */
  leaseNow({ signal }: { signal: AbortSignal }): HeldItem<T> | undefined {
    if (this.watched !== signal || signal.aborted || isTurnOver(0)) return undefined;
    const shown = this.reading.gets.takeAhead();
    if (shown === undefined) return undefined;
    isTurnOver(1);
    return this.held(shown, true);
  }

  /** @throws what its codec says of it; then it is gone */
  private held({ tag, items, index }: ShownItem, ahead: boolean): HeldItem<T> {
    const { shown } = this.reading.gets;
    const held = new StreamItem<T>(shown, tag, ahead);
    shown.hold(held);
    try {
      held.item = items.open(index) as T;
      return held;
    } catch (error) {
      shown.endHeld(held, isUnknownSchema(error));
      throw error;
    }
  }
}
