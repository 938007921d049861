/** The leases of one stream by tag, kept as the deliveries in which they were delivered: most are settled as such. */
import type { LeasedBatch } from './served-queue';

interface Delivery {
  first: number;
  leased: LeasedBatch;
  open: number;
  /** Once a part was settled: which ones were. */
  settled: Uint8Array | undefined;
}

/** LeasedBatch of one delivery, from … to - 1. */
export interface LeasedRange {
  leased: LeasedBatch;
  from: number;
  to: number;
}

export class DeliveryTable {
  /** LeasedBatch that are not settled. */
  size = 0;
  private readonly deliveries: Delivery[] = [];

  add(first: number, leased: LeasedBatch): void {
    this.deliveries.push({ first, leased, open: leased.items.count, settled: undefined });
    this.size += leased.items.count;
  }

  /** Those with the tags first … first + count - 1, or undefined when one of them is not on lease. */
  take(first: number, count: number): LeasedRange | undefined {
    const index = this.deliveries.findIndex(
      (delivery) => delivery.first <= first && first < delivery.first + delivery.leased.items.count,
    );
    const delivery = this.deliveries[index];
    if (delivery === undefined || count < 1 || first + count > delivery.first + delivery.leased.items.count)
      return undefined;
    const from = first - delivery.first;
    const to = from + count;
    if (delivery.settled?.subarray(from, to).includes(1)) return undefined;
    delivery.open -= count;
    this.size -= count;
    if (delivery.open === 0) this.deliveries.splice(index, 1);
    else (delivery.settled ??= new Uint8Array(delivery.leased.items.count)).fill(1, from, to);
    return { leased: delivery.leased, from, to };
  }

  /** All that are left, in the order of their tags. */
  takeAll(): LeasedRange[] {
    this.size = 0;
    return this.deliveries.splice(0).flatMap(({ leased, settled }) => {
      const { count } = leased.items;
      if (settled === undefined) return [{ leased, from: 0, to: count }];
      const left: LeasedRange[] = [];
      for (let index = 0; index < count; index++)
        if (settled[index] === 0) left.push({ leased, from: index, to: index + 1 });
      return left;
    });
  }
}
