/**
 * The queue in memory behind `local` and the test stub: FIFO, bounded, with loans, shutdown and waiters served in order.
 *
 * Two invariants hold between calls: nobody waits to get while an item lies ready, and nobody waits to put while there is room.
 */
import { QueueEmptyError, QueueFullError, QueueShutDownError, QueueTimeoutError } from '../../errors';
import type { Wait } from '../../wait/options';
import { PendingCall } from '../../wait/pending-call';

export interface Entry<T> {
  readonly item: T;
  /** Position in the order of puts. */
  readonly sequence: number;
  deliveries: number;
  /** Proved deaths of processes that held it: clients of a server, for a queue in memory. */
  crashes: number;
}

/** Whoever waits; closing a handle ends its waiters, ref and unref reach their timers. */
export interface WaiterGroup {
  readonly waiters: Set<PendingCall>;
  referenced: boolean;
}

abstract class LineCall extends PendingCall {
  constructor(
    wait: Wait,
    reject: (reason: unknown) => void,
    private readonly group: WaiterGroup,
    private readonly line: Set<LineCall>,
  ) {
    super(wait, reject);
    group.waiters.add(this);
    line.add(this);
    this.setReferenced(group.referenced);
  }

  protected override leave(): void {
    this.group.waiters.delete(this);
    this.line.delete(this);
  }
}

class Getter<T> extends LineCall {
  constructor(
    wait: Wait,
    group: WaiterGroup,
    line: Set<Getter<T>>,
    /** A loan counts towards maxsize until it is finished. */
    readonly onLoan: boolean,
    private readonly resolve: (entry: Entry<T>) => void,
    reject: (reason: unknown) => void,
  ) {
    super(wait, reject, group, line as Set<LineCall>);
  }

  give(entry: Entry<T>): void {
    this.end();
    this.resolve(entry);
  }

  protected override timedOut(): Error {
    return new QueueEmptyError();
  }
}

class Joiner extends LineCall {
  constructor(
    wait: Wait,
    group: WaiterGroup,
    line: Set<Joiner>,
    private readonly resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    super(wait, reject, group, line as Set<LineCall>);
  }

  done(): void {
    this.end();
    this.resolve();
  }

  protected override timedOut(): Error {
    return notDone();
  }
}

const notDone = (): QueueTimeoutError =>
  new QueueTimeoutError('The time was over before every item was taken and acknowledged.');

class Putter<T> extends LineCall {
  constructor(
    wait: Wait,
    group: WaiterGroup,
    line: Set<Putter<T>>,
    readonly item: T,
    private readonly full: () => Error,
    private readonly resolve: () => void,
    reject: (reason: unknown) => void,
  ) {
    super(wait, reject, group, line as Set<LineCall>);
  }

  accept(): void {
    this.end();
    this.resolve();
  }

  protected override timedOut(): Error {
    return this.full();
  }
}

/** First in, first out, in constant time: the head moves, and the array is cut when half of it is behind. */
class Fifo<E> {
  private entries: (E | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.entries.length - this.head;
  }

  push(entry: E): void {
    this.entries.push(entry);
  }

  shift(): E | undefined {
    if (this.head === this.entries.length) return undefined;
    const entry = this.entries[this.head];
    this.entries[this.head++] = undefined;
    if (this.head > 32 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  clear(): void {
    this.entries = [];
    this.head = 0;
  }
}

export class MemoryStore<T> {
  private readonly fresh = new Fifo<Entry<T>>();
  /** Given back, in the order of their puts; all of them go before anything fresh. */
  private readonly returned: Entry<T>[] = [];
  private loans = 0;
  private readonly getters = new Set<Getter<T>>();
  private readonly putters = new Set<Putter<T>>();
  private readonly joiners = new Set<Joiner>();
  /** Handles of producers: those open now, those that came in all, and as many as must have come before the queue ends with the last of them. */
  private readonly producers = { open: 0, came: 0, expected: 1 };
  private endUnseen = false;
  private shutdownMode: 'open' | 'draining' | 'immediate' = 'open';

  putTotal = 0;
  getTotal = 0;
  redelivered = 0;

  /** @param maxsize 0 = no bound. */
  constructor(readonly maxsize: number) {}

  get size(): number {
    return this.fresh.length + this.returned.length;
  }

  get onLoan(): number {
    return this.loans;
  }

  get isFull(): boolean {
    return this.maxsize > 0 && this.size + this.loans >= this.maxsize;
  }

  get isShutDown(): boolean {
    return this.shutdownMode !== 'open';
  }

  /** It ended with its producers, and no reader has seen that yet. */
  get hasUnseenEnd(): boolean {
    return this.endUnseen;
  }

  get waitingGetters(): number {
    return this.getters.size;
  }

  get waitingPutters(): number {
    return this.putters.size;
  }

  /** Undefined when the item went in at once. */
  put(item: T, wait: Wait, group: WaiterGroup): Promise<void> | undefined {
    if (this.shutdownMode !== 'open') throw new QueueShutDownError('The queue was shut down and takes no more items.');
    if (!this.isFull) {
      this.accept(item);
      return undefined;
    }
    const full = (): QueueFullError =>
      new QueueFullError(`The queue holds its maxsize of ${this.maxsize} items (items on lease included).`);
    if (wait.timeoutMs === 0) throw full();
    return new Promise<void>((resolve, reject) => new Putter(wait, group, this.putters, item, full, resolve, reject));
  }

  /** The entry itself when there was one at once. */
  take(wait: Wait, group: WaiterGroup, onLoan: boolean): Entry<T> | Promise<Entry<T>> {
    const entry = this.next(onLoan);
    if (entry !== undefined) return entry;
    if (this.isFinished) {
      this.endUnseen = false;
      throw new QueueShutDownError('The queue was shut down and nothing is left in it.');
    }
    if (wait.timeoutMs === 0) throw new QueueEmptyError();
    return new Promise<Entry<T>>((resolve, reject) => new Getter(wait, group, this.getters, onLoan, resolve, reject));
  }

  /** Undefined: nothing is there to wait for. */
  join(wait: Wait, group: WaiterGroup): Promise<void> | undefined {
    if (this.isIdle) return undefined;
    if (wait.timeoutMs === 0) throw notDone();
    return new Promise<void>((resolve, reject) => new Joiner(wait, group, this.joiners, resolve, reject));
  }

  private get isIdle(): boolean {
    return this.size === 0 && this.loans === 0;
  }

  /** @param expected how many producers have to come before the queue may end; of several wishes the largest counts. */
  addProducer(expected: number): void {
    this.producers.open++;
    this.producers.came++;
    this.producers.expected = Math.max(this.producers.expected, expected);
  }

  removeProducer(): void {
    const { open, came, expected } = this.producers;
    this.producers.open--;
    if (open > 1 || came < expected || this.isShutDown) return;
    this.endUnseen = true;
    this.shutdown(false);
  }

  /** The items were handled: their places are free. */
  finish(count = 1): void {
    this.loans -= count;
    this.getTotal += count;
    this.admit();
    this.endIfFinished();
  }

  /** The item comes again, ahead of every item not yet taken. */
  giveBack(entry: Entry<T>): void {
    this.loans--;
    if (this.shutdownMode === 'immediate') {
      this.endIfFinished();
      this.endJoins();
      return;
    }
    this.redelivered++;
    const at = this.returned.findIndex((other) => other.sequence > entry.sequence);
    this.returned.splice(at === -1 ? this.returned.length : at, 0, entry);
    this.serve();
  }

  shutdown(immediate: boolean): void {
    if (immediate) {
      this.shutdownMode = 'immediate';
      this.fresh.clear();
      this.returned.length = 0;
    } else if (this.shutdownMode === 'open') {
      this.shutdownMode = 'draining';
    }
    for (const putter of [...this.putters])
      putter.fail(new QueueShutDownError('The queue was shut down and takes no more items.'));
    this.endIfFinished();
    this.endJoins();
  }

  private sequence = 0;

  private accept(item: T): void {
    this.putTotal++;
    this.fresh.push({ item, sequence: this.sequence++, deliveries: 0, crashes: 0 });
    this.serve();
  }

  private next(onLoan: boolean): Entry<T> | undefined {
    const entry = this.returned.shift() ?? this.fresh.shift();
    if (entry === undefined) return undefined;
    entry.deliveries++;
    if (onLoan) {
      this.loans++;
    } else {
      this.getTotal++;
      this.admit();
    }
    return entry;
  }

  /** Items that lie ready, to those who wait. */
  private serve(): void {
    while (this.getters.size > 0 && this.size > 0) {
      const [getter] = this.getters as Iterable<Getter<T>> as [Getter<T>];
      getter.give(this.next(getter.onLoan) as Entry<T>);
    }
    this.endIfFinished();
  }

  /** Room that came free, to those who wait for it. */
  private admit(): void {
    while (this.putters.size > 0 && !this.isFull) {
      const [putter] = this.putters as Iterable<Putter<T>> as [Putter<T>];
      putter.accept();
      this.accept(putter.item);
    }
    this.endJoins();
  }

  private endJoins(): void {
    if (this.isIdle) for (const joiner of [...this.joiners]) joiner.done();
  }

  private get isFinished(): boolean {
    return (
      this.shutdownMode === 'immediate' || (this.shutdownMode === 'draining' && this.size === 0 && this.loans === 0)
    );
  }

  private endIfFinished(): void {
    if (!this.isFinished) return;
    if (this.getters.size > 0) this.endUnseen = false;
    for (const getter of [...this.getters])
      getter.fail(new QueueShutDownError('The queue was shut down and nothing is left in it.'));
  }
}
