/** One queue behind the server: items in and out of it in their wire form, and what is known of its clients. */
import { encodeItem } from '../codec/registry';
import { QueueTimeoutError, SerializationError } from '../errors';
import { isEncodedSource } from '../queue/encoded-source';
import type { EncodedSource } from '../queue/encoded-source';
import { endLeases } from '../queue/lease-batch';
import { LeaseRun } from '../queue/lease-table';
import type { Queue, WaitOptions } from '../queue/types';
import { SealedItem } from '../codec/encoded-item';
import { onAbort } from '../wait/abort-listeners';
import { Alarm, remainingMs } from '../wait/deadline';
import { ItemBatch } from '../transports/rpc/wire/item-batch';
import { BATCH_BYTES } from '../transports/rpc/wire/protocol';
import type { QueryResult } from '../transports/rpc/wire/protocol';
import type { ClientStates } from './client-state';
import type { LeasedBatch } from './leased-batch';
import { both, DELIVERY_ITEMS, lent, takenOf } from './taken';
import type { Taken } from './taken';

/** The most items in one delivery out of a queue that lends them one by one: their sizes are known only then. */
const MOST_LEASED = 256;
const FIRST_LEASED = 16;

/** A session whose client holds items that it read ahead. */
export interface Holder {
  /** Items read ahead and not settled. */
  readonly held: number;
  /** Others wait: asks for them back. */
  recall(): void;
}

/** How long what lies in front waits for room when the queue is closed. */
const RETURN_WITHIN_MS = 1000;

/** How often a queue is asked whether others wait in it, of whom the server does not know, while items are read ahead of them. */
const LOOK_MS = 50;

export class ServedQueue {
  sessions = 0;
  /** When the last one ended. */
  leftAt = performance.now();
  /** A client has shut it down: once nobody is attached, the next one to come starts anew. */
  shutDown = false;
  /** Items that came back from clients after they had been settled: first to go out again. */
  private readonly front: ItemBatch[] = [];
  private readonly nudges = new Set<() => void>();
  private readonly holders = new Set<Holder>();
  /** Sessions that wait for an item. */
  private waiting = 0;
  private looking: NodeJS.Timeout | undefined;
  /** Items on lease that the queue itself does not know any more: they were settled once, or could not be read. */
  private lentOutside = 0;
  /** Of a queue that lends items one by one: as many as a delivery has room for, going by those before. */
  private likelyItems = FIRST_LEASED;
  /** Told when the last item outside of the queue has ended. */
  private readonly outsideEnded = new Set<() => void>();

  constructor(
    readonly queueId: string,
    readonly queue: Queue,
    /** Whether the server made the handle and so closes it. */
    readonly owned: boolean,
    readonly clients: ClientStates,
  ) {}

  /** With which a client that was given none reads the items. */
  get schemas(): Uint8Array[] {
    return isEncodedSource(this.queue) ? [...this.queue.schemas()] : [];
  }

  /** Puts in order. @returns how many went in, and why not all. */
  async put(items: ItemBatch, timeoutMs: number, signal: AbortSignal): Promise<{ applied: number; error?: unknown }> {
    const values: unknown[] = [];
    let bad: { error: unknown } | undefined;
    const sealed = isEncodedSource(this.queue);
    for (let index = 0; index < items.count; index++) {
      try {
        values.push(sealed ? new SealedItem(items, index) : items.open(index));
      } catch (error) {
        bad = { error };
        break;
      }
    }
    const wait = { timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs, signal };
    try {
      if (values.length === 1) await this.queue.put(values[0], wait);
      else if (values.length > 0) await this.queue.putMany(values, wait);
    } catch (error) {
      return { applied: values.length === 1 ? 0 : ((error as { accepted?: number }).accepted ?? 0), error };
    }
    return bad === undefined ? { applied: values.length } : { applied: values.length, error: bad.error };
  }

  /** The session has items read ahead, from now on or no longer. */
  holds(holder: Holder, any: boolean): void {
    if (any) this.holders.add(holder);
    else this.holders.delete(holder);
    if (this.holders.size === 0) {
      clearInterval(this.looking);
      this.looking = undefined;
    } else this.looking ??= setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Whoever holds more than it has shown gives it back to those who wait. */
  private async look(): Promise<void> {
    const waiting = this.waiting > 0 || ((await this.queue.stats().catch(() => undefined))?.waitingGetters ?? 0) > 0;
    if (waiting) this.recall();
  }

  private recall(but?: Holder): void {
    for (const holder of this.holders) if (holder !== but) holder.recall();
  }

  /** Waits for one item on behalf of a session, then takes what is there. */
  async wait(max: number, timeoutMs: number, signal: AbortSignal, holder: Holder): Promise<Taken> {
    this.waiting++;
    this.recall(holder);
    try {
      return await this.take(max, timeoutMs, signal);
    } finally {
      this.waiting--;
    }
  }

  /** Takes these back ahead of everything. */
  requeue(items: ItemBatch): void {
    this.front.unshift(items);
    for (const nudge of [...this.nudges]) nudge();
  }

  /** `nudge` is called when there is something in front that a waiting take does not see. */
  watchFront(nudge: () => void): () => void {
    this.nudges.add(nudge);
    return () => this.nudges.delete(nudge);
  }

  /** What is there: at most `max` items, and not much more than a batch of bytes. Undefined: nothing, or it takes waiting to find out. */
  takeNow(max: number): Taken | undefined {
    if (this.front.length > 0) return this.takeFront(max);
    return isEncodedSource(this.queue) ? this.takeEncoded(this.queue, max) : undefined;
  }

  /** Waits for one item, then takes what is there. */
  async take(max: number, timeoutMs: number, signal: AbortSignal): Promise<Taken> {
    if (this.front.length > 0) return this.takeFront(max);
    const wait = { timeoutMs: timeoutMs === Infinity ? undefined : timeoutMs, signal };
    const { queue } = this;
    if (isEncodedSource(queue)) {
      const first = takenOf(await queue.leaseEncoded(1, BATCH_BYTES, wait), 1);
      return max > 1 ? this.withRest(first, max - 1) : first;
    }
    try {
      return await this.takeLeased(max, wait);
    } catch (error) {
      const raw = this.undecodable(error);
      if (raw === undefined) throw error;
      return { leased: raw, more: true };
    }
  }

  /** … and what lies ready behind it. */
  private withRest(first: Taken, max: number): Taken {
    let rest: Taken | undefined;
    try {
      rest = this.takeNow(max);
    } catch {
      // It comes again at the next take.
    }
    return rest === undefined ? first : { leased: both(first.leased, rest.leased), more: rest.more };
  }

  /** One lease of as many as are likely to fit into one delivery; those beyond that go back unseen. */
  private async takeLeased(max: number, wait: WaitOptions): Promise<Taken> {
    const asked = Math.min(max, this.likelyItems);
    const batch = await this.queue.leaseMany(asked, wait);
    const { length } = batch.items;
    const parts: ItemBatch[] = [];
    let bytes = 0;
    let bad: { error: unknown } | undefined;
    while (parts.length < length && bytes < BATCH_BYTES && bad === undefined) {
      try {
        const part = ItemBatch.single(encodeItem(batch.items[parts.length]));
        bytes += part.byteLength;
        parts.push(part);
      } catch (error) {
        bad = { error };
      }
    }
    const { length: count } = parts;
    // What cannot be encoded stays, and is told of once it is the first.
    if (count < length) await endLeases(batch, count, length, 'undo');
    if (count === 0 && bad !== undefined) throw bad.error;
    this.likelyItems = Math.max(1, Math.min(MOST_LEASED, 2 * count, Math.floor((BATCH_BYTES * count) / (bytes + 1))));
    const leased = lent(batch, ItemBatch.join(parts), (items) => this.requeue(items));
    return { leased, more: count < max && (count < length || count === asked) };
  }

  private takeFront(max: number): Taken {
    const [batch] = this.front as [ItemBatch];
    const items = batch.slice(0, Math.min(max, batch.count));
    if (items.count === batch.count) this.front.shift();
    else this.front[0] = batch.slice(items.count);
    return { leased: this.requeueable(items, 2), more: items.count < max };
  }

  private takeEncoded(queue: EncodedSource, max: number): Taken | undefined {
    const leases = queue.lendEncoded(Math.min(max, DELIVERY_ITEMS), BATCH_BYTES);
    return leases && takenOf(leases, max);
  }

  private get inFront(): number {
    return this.front.reduce((sum, batch) => sum + batch.count, 0);
  }

  private endedOutside(count: number): void {
    this.lentOutside -= count;
    if (this.lentOutside === 0 && this.front.length === 0) for (const tell of [...this.outsideEnded]) tell();
  }

  /** As `Queue.join`, over what the queue has and what lies here. */
  async join(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = deadline - performance.now();
      await this.queue.join({ timeoutMs: leftMs === Infinity ? undefined : Math.max(0, leftMs), signal });
      if (this.lentOutside === 0 && this.front.length === 0) return;
      await this.outsideEnds(deadline, signal);
    }
  }

  private async outsideEnds(deadline: number, signal: AbortSignal): Promise<void> {
    let [tell, forget] = [(): void => {}, (): void => {}];
    const late = new Alarm(deadline, () => tell(), true);
    try {
      await new Promise<void>((resolve) => {
        tell = resolve;
        this.outsideEnded.add(tell);
        forget = onAbort(signal, tell);
      });
    } finally {
      this.outsideEnded.delete(tell);
      late.cancel();
      forget();
    }
    signal.throwIfAborted();
    if (performance.now() >= deadline)
      throw new QueueTimeoutError('The time was over before every item was taken and acknowledged.');
  }

  /** Nothing is in it, on lease or in front. */
  async isEmpty(): Promise<boolean> {
    const { qsize, leased } = await this.queue.stats();
    return qsize + this.inFront + this.lentOutside + (leased ?? 0) === 0;
  }

  async query(): Promise<QueryResult> {
    const stats = await this.queue.stats();
    // What was read ahead has not reached a program.
    let ahead = 0;
    for (const holder of this.holders) ahead += holder.held;
    return {
      qsize: stats.qsize + this.inFront + ahead,
      leased: stats.leased === undefined ? undefined : Math.max(0, stats.leased + this.lentOutside - ahead),
      maxsize: stats.maxsize,
      full: await this.queue.full(),
      putTotal: stats.putTotal,
      getTotal: stats.getTotal,
      waitingGetters: stats.waitingGetters,
      waitingPutters: stats.waitingPutters,
      redelivered: stats.redelivered,
    };
  }

  /** Lets go of the queue; what lies in front goes back into it, at its end, as far as it has room within a moment. */
  async close(): Promise<void> {
    clearInterval(this.looking);
    await this.clients.releaseKept();
    await this.returnFront();
    if (this.owned) await this.queue.close();
  }

  private async returnFront(): Promise<void> {
    const deadline = performance.now() + RETURN_WITHIN_MS;
    const { signal } = new AbortController();
    let [lost, why] = [0, undefined as unknown];
    for (const batch of this.front.splice(0)) {
      for (let at = 0; at < batch.count;) {
        const { applied, error } = await this.put(batch.slice(at), remainingMs(deadline), signal);
        at += applied;
        if (error === undefined) continue;
        at++;
        lost++;
        why = error;
      }
    }
    if (lost > 0)
      process.emitWarning(
        `${lost} items that clients of '${this.queueId}' gave back are lost: ${(why as Error).message}`,
      );
  }

  /** Items that the queue itself does not know any more. @param deliveries of each of them, this one with them */
  private requeueable(items: ItemBatch, deliveries: number): LeasedBatch {
    this.lentOutside += items.count;
    const run = new LeaseRun(items.count, {
      end: (from, to, acknowledge) => {
        if (!acknowledge) this.requeue(items.slice(from, to));
        this.endedOutside(to - from);
      },
      deliveries: () => deliveries,
      crashes: () => 0,
    });
    return { items, run };
  }

  /** … with all that is in it. */
  async drop(): Promise<void> {
    this.front.length = 0;
    await this.queue.shutdown({ immediate: true }).catch(() => {});
    await this.close();
  }

  /** An item that this process cannot read travels as it lies: the client may have the codec. */
  private undecodable(error: unknown): LeasedBatch | undefined {
    if (!(error instanceof SerializationError) || error.bytes === undefined || error.codecId === undefined)
      return undefined;
    return this.requeueable(ItemBatch.single({ codecId: error.codecId, bytes: error.bytes }), 1);
  }
}
