/**
 * The queue in memory behind `local` and the test stub: FIFO, bounded, with leases, shutdown, and waiting calls served in order.
 *
 * Two invariants hold between calls: nobody waits to get while an item lies ready, and nobody waits to put while there is room, but for
 * those who stand behind a call that holds its place. One loop serves both lines until nobody can be served; it is not re-entered, so
 * that no step of it sees another one half done.
 */
import { QueueFullError, QueueProducerLostError, QueueShutDownError } from '../../errors';
import type { ProducerEnd } from '../../queue/producer-role';
import { CallLine } from '../../wait/call-line';

export interface Entry<T> {
  readonly item: T;
  /** Position in the order of puts. */
  readonly sequence: number;
  deliveries: number;
  /** Proved deaths of processes that held it: clients of a server, for a queue in memory. */
  crashes: number;
  /** Whoever has it on lease has not begun with it. */
  aside?: boolean;
}

/** First in, first out, in constant time: the head moves, and the array is cut when half of it is behind. */
class Fifo<E> {
  protected entries: (E | undefined)[] = [];
  protected head = 0;

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

/** In the order of their puts. A run of them that goes in behind all others, or in front of them, costs no look at any but the first and the last. */
class Requeued<T> extends Fifo<Entry<T>> {
  add(run: readonly Entry<T>[]): void {
    const isForward = this.length === 0 || run.length === 0 || run[0]!.sequence > this.entries[this.head]!.sequence;
    for (const entry of isForward ? run : run.toReversed()) this.insert(entry);
  }

  private insert(entry: Entry<T>): void {
    const { sequence } = entry;
    if (this.length === 0 || this.entries.at(-1)!.sequence < sequence) return this.push(entry);
    if (sequence < this.entries[this.head]!.sequence) return this.unshift(entry);
    let [from, to] = [this.head, this.entries.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.entries[middle]!.sequence < sequence) from = middle + 1;
      else to = middle;
    }
    this.entries.splice(from, 0, entry);
  }

  private unshift(entry: Entry<T>): void {
    if (this.head === 0) {
      // For half as many as there are: shift() cuts it off only after as many again.
      this.head = Math.max(32, this.length >> 1);
      this.entries = new Array<undefined>(this.head).fill(undefined).concat(this.entries as undefined[]);
    }
    this.entries[--this.head] = entry;
  }
}

const takesNoMore = (): QueueShutDownError =>
  new QueueShutDownError('The queue was shut down and takes no more items.');

export class MemoryStore<T> {
  private readonly fresh = new Fifo<Entry<T>>();
  /** Those that came back from a lease; all of them go before anything fresh. */
  private readonly requeued = new Requeued<T>();
  private leased = 0;
  readonly consumers = new CallLine('get', () => this.serve());
  readonly producers = new CallLine('put', () => this.serve());
  readonly joiners = new CallLine('join', () => {});
  private serving = false;
  /** A call that is being served ran code of the program's, which changed the queue. */
  private changed = false;
  /** Handles of producers: those open now, those that came in all and were lost, and as many as must have come before the queue ends with the last of them. */
  private readonly roles = { open: 0, came: 0, lost: 0, expected: 1 };
  private endUnseen = false;
  private shutdownMode: 'open' | 'draining' | 'immediate' = 'open';
  private sequence = 0;

  putTotal = 0;
  getTotal = 0;
  redelivered = 0;

  /** @param maxsize 0 = no bound. */
  constructor(readonly maxsize: number) {}

  get size(): number {
    return this.fresh.length + this.requeued.length;
  }

  get onLease(): number {
    return this.leased;
  }

  get isFull(): boolean {
    return this.maxsize > 0 && this.size + this.leased >= this.maxsize;
  }

  get isIdle(): boolean {
    return this.size === 0 && this.leased === 0;
  }

  /** It ended with its producers, and no reader has seen that yet. */
  get hasUnseenEnd(): boolean {
    return this.endUnseen;
  }

  full(): QueueFullError {
    return new QueueFullError(`The queue holds its maxsize of ${this.maxsize} items (items on lease included).`);
  }

  /** @throws QueueShutDownError where it takes no more items */
  checkOpen(): void {
    if (this.shutdownMode !== 'open') throw takesNoMore();
  }

  /** Whether the item went in. @throws QueueShutDownError */
  tryPut(item: T): boolean {
    this.checkOpen();
    if (this.isFull) return false;
    this.putTotal++;
    this.fresh.push({ item, sequence: this.sequence++, deliveries: 0, crashes: 0 });
    return true;
  }

  /** The next item, on lease until `ack` or `requeue`. Undefined: there is none yet. @throws QueueShutDownError when none will come */
  tryLease(): Entry<T> | undefined {
    const entry = this.requeued.shift() ?? this.fresh.shift();
    if (entry !== undefined) {
      entry.deliveries++;
      this.leased++;
      return entry;
    }
    if (!this.isFinished) return undefined;
    this.endUnseen = false;
    if (this.roles.lost > 0 && this.shutdownMode === 'draining') throw new QueueProducerLostError();
    throw new QueueShutDownError('The queue was shut down and nothing is left in it.');
  }

  /** So many items were handled: their places are free. */
  ack(count: number): void {
    this.leased -= count;
    this.getTotal += count;
  }

  /** The items come again, ahead of every item not yet taken. */
  requeue(entries: readonly Entry<T>[]): void {
    this.leased -= entries.length;
    if (this.shutdownMode === 'immediate') return;
    for (const entry of entries) {
      if (entry.aside === true) {
        entry.aside = false;
        entry.deliveries--;
      } else this.redelivered++;
    }
    this.requeued.add(entries);
  }

  /** The same as if they had not been leased: nobody has seen them. */
  undo(entries: readonly Entry<T>[]): void {
    for (const entry of entries) entry.aside = true;
    this.requeue(entries);
  }

  /** Does what changes the queue, then serves those who wait: they see all of it or nothing. */
  change<R>(what: () => R): R {
    if (this.serving) {
      this.changed = true;
      return what();
    }
    this.serving = true;
    try {
      return what();
    } finally {
      this.serving = false;
      this.serve();
    }
  }

  /** Items that lie ready to those who wait for them, and room that came free to those who wait for that. */
  serve(): void {
    if (this.serving) return;
    this.serving = true;
    try {
      let before: number;
      // What consumers took makes room, and what came in for it serves consumers.
      do {
        before = this.putTotal;
        this.changed = false;
        this.consumers.serve();
        this.producers.serve();
      } while (this.changed || this.putTotal > before);
    } finally {
      this.serving = false;
    }
    this.joiners.serve();
  }

  /** @param expected how many producers have to come before the queue may end; of several wishes the largest counts. */
  addProducer(expected: number): void {
    this.roles.open++;
    this.roles.came++;
    this.roles.expected = Math.max(this.roles.expected, expected);
  }

  /** @param end of its handle: closed, or taken by the collector */
  removeProducer(end: ProducerEnd): void {
    const { open, came, expected } = this.roles;
    this.roles.open--;
    if (end === 'lost') this.roles.lost++;
    if (open > 1 || came < expected || this.shutdownMode !== 'open') return;
    this.endUnseen = true;
    this.shutdown(false);
  }

  shutdown(immediate: boolean): void {
    this.change(() => {
      if (immediate) {
        this.shutdownMode = 'immediate';
        this.fresh.clear();
        this.requeued.clear();
      } else if (this.shutdownMode === 'open') {
        this.shutdownMode = 'draining';
      }
      // Nobody puts any more, those included whose source is silent.
      this.producers.giveUp(takesNoMore);
    });
  }

  private get isFinished(): boolean {
    return this.shutdownMode === 'immediate' || (this.shutdownMode === 'draining' && this.isIdle);
  }
}
