/** Loops and streams over a remote queue: what they need next is read ahead. */
import { QueueShutDownError } from '../../../errors';
import type { Lease } from '../../../queue/types';
import { asyncDispose } from '../../../util/dispose';
import { onAbort } from '../../../wait/abort-listeners';
import { isTurnOver, nextTurn } from '../../../wait/fairness';
import type { Part } from './get-call';
import type { PendingGets } from './pending-gets';

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
    if (shown === undefined) return this.wait();
    gets.confirm(shown.tag);
    return this.give(() => shown.items.open(shown.index) as T);
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
      const [part] = await this.reading.gets.get(
        { kind: 'take', max: 1, ahead: true },
        { timeoutMs: Infinity, signal },
      );
      return await this.give(() => part!.items.open(0) as T);
    } catch (error) {
      // A loop that ends with an error is not told to return.
      this.reading.leave();
      if (error instanceof QueueShutDownError || error === signal.reason) return DONE;
      throw error;
    }
  }

  private async give(decode: () => T): Promise<IteratorResult<T>> {
    try {
      const value = decode();
      if (isTurnOver(1)) await nextTurn();
      return { done: false, value };
    } catch (error) {
      this.reading.leave();
      throw error;
    }
  }
}

/** Leases for a stream, which acknowledges an item when it leaves the stream. */
export class AheadLeases<T> {
  private readonly reading: Reading;
  private watched: AbortSignal | undefined;

  constructor(
    gets: PendingGets,
    private readonly checkOpen: () => void,
  ) {
    this.reading = new Reading(gets);
  }

  async lease({ signal }: { signal: AbortSignal }): Promise<Lease<T>> {
    this.checkOpen();
    if (this.watched !== signal) onAbort((this.watched = signal), () => this.reading.leave());
    this.reading.enter();
    const { gets } = this.reading;
    const shown = gets.takeAhead();
    if (shown !== undefined) {
      if (isTurnOver(1)) await nextTurn();
      const { items, index, tag } = shown;
      return this.held({ tag, items: items.slice(index, index + 1), deliveries: undefined }, true);
    }
    try {
      const [part] = await gets.get({ kind: 'hold', max: 1, ahead: true }, { timeoutMs: Infinity, signal });
      return this.held(part!, part!.ahead === true);
    } catch (error) {
      this.reading.leave();
      throw error;
    }
  }

  private held(part: Part, ahead: boolean): Lease<T> {
    const held = this.reading.gets.hold(part, ahead);
    let item: T;
    try {
      item = part.items.open(0) as T;
    } catch (error) {
      held.ack();
      throw error;
    }
    const release = async (): Promise<void> => held.release();
    const deliveries = part.deliveries?.[0] ?? 1;
    const crashes = part.crashes?.[0] ?? 0;
    return { item, deliveries, crashes, ack: async () => held.ack(), release, [asyncDispose]: release } as Lease<T>;
  }
}
