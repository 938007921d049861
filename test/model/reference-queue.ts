/**
 * What a queue is, said plainly: items in order, leases, a limit, calls that wait in line, shutdown. Every type is held to this.
 *
 * It is told what was called, and says which calls end and how. Only one thing is left to the queue: how many items a getMany or a
 * leaseMany takes of those that are there, or that a putMany in line has put before it looks: a long one gives the event loop turns.
 */

export interface Place {
  readonly value: number;
  /** In the order of the puts. */
  readonly sequence: number;
  deliveries: number;
}

interface Consumer {
  readonly id: number;
  readonly handle: number;
  readonly max: number;
  readonly lease: boolean;
}

interface Producer {
  readonly id: number;
  readonly handle: number;
  readonly items: readonly number[];
  accepted: number;
  readonly many: boolean;
}

export interface OpenLease {
  readonly place: Place;
  readonly handle: number;
}

export type Ending =
  | { readonly id: number; readonly code: string; readonly accepted?: number }
  | { readonly id: number; readonly accepted: number }
  | { readonly id: number; readonly next: readonly Place[]; readonly max: number; readonly lease: boolean };

export class ReferenceQueue {
  items: Place[] = [];
  readonly leases = new Set<OpenLease>();
  consumers: Consumer[] = [];
  producers: Producer[] = [];
  mode: 'open' | 'draining' | 'immediate' = 'open';
  private sequence = 0;

  /** @param maxsize 0 = no bound */
  constructor(readonly maxsize: number) {}

  get isFull(): boolean {
    return this.maxsize > 0 && this.items.length + this.leases.size >= this.maxsize;
  }

  /** How many items there is room for. */
  get free(): number {
    return this.maxsize === 0 ? Infinity : this.maxsize - this.items.length - this.leases.size;
  }

  get isFinished(): boolean {
    return this.mode === 'immediate' || (this.mode === 'draining' && this.items.length + this.leases.size === 0);
  }

  put(producer: Producer): void {
    this.producers.push(producer);
  }

  take(consumer: Consumer): void {
    this.consumers.push(consumer);
  }

  /** The next call that ends now; what it says of items has to be confirmed by `took`. */
  next(): Ending | undefined {
    const [consumer] = this.consumers;
    if (consumer !== undefined && this.items.length > 0)
      return { id: consumer.id, next: this.items, max: consumer.max, lease: consumer.lease };
    const [producer] = this.producers;
    if (producer !== undefined && this.mode !== 'open') {
      this.producers.shift();
      return { id: producer.id, code: 'ERR_QUEUE_SHUT_DOWN', accepted: producer.accepted };
    }
    if (producer !== undefined && producer.accepted === producer.items.length) {
      this.producers.shift();
      return { id: producer.id, accepted: producer.accepted };
    }
    if (producer !== undefined && !this.isFull) {
      while (!this.isFull && producer.accepted < producer.items.length)
        this.accept(producer.items[producer.accepted++]!);
      return this.next();
    }
    if (consumer !== undefined && this.isFinished) {
      this.consumers.shift();
      return { id: consumer.id, code: 'ERR_QUEUE_SHUT_DOWN' };
    }
    return undefined;
  }

  /** Those in line put, as long as there is room, until so many items are there. */
  fillTo(count: number): void {
    for (const producer of this.producers)
      while (
        this.items.length < count &&
        this.mode === 'open' &&
        !this.isFull &&
        producer.accepted < producer.items.length
      )
        this.accept(producer.items[producer.accepted++]!);
  }

  private accept(value: number): void {
    this.items.push({ value, sequence: this.sequence++, deliveries: 0 });
  }

  /** The first in line was given so many items. */
  took(count: number): OpenLease[] {
    const consumer = this.consumers.shift()!;
    return this.takeNow(count, consumer.lease, consumer.handle);
  }

  takeNow(count: number, lease: boolean, handle: number): OpenLease[] {
    const leases = this.items.splice(0, count).map((place) => ({ place, handle }));
    for (const held of leases) {
      held.place.deliveries++;
      if (lease) this.leases.add(held);
    }
    return leases;
  }

  /** Says whether the lease was open. */
  end(lease: OpenLease, acknowledge: boolean): boolean {
    if (!this.leases.delete(lease)) return false;
    if (!acknowledge && this.mode !== 'immediate') {
      this.items.push(lease.place);
      this.items.sort((a, b) => a.sequence - b.sequence);
    }
    return true;
  }

  shutdown(immediate: boolean): void {
    if (immediate) {
      this.mode = 'immediate';
      this.items = [];
    } else if (this.mode === 'open') this.mode = 'draining';
  }

  /** The call leaves the line. @returns how many of its items are in */
  leave(id: number): number | undefined {
    const producer = this.producers.find((one) => one.id === id);
    this.producers = this.producers.filter((one) => one.id !== id);
    this.consumers = this.consumers.filter((one) => one.id !== id);
    return producer?.accepted;
  }
}
