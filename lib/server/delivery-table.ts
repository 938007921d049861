/** What one client has, by tag, kept as the deliveries in which it went out: most are settled as such. */
import type { LeasedBatch } from './leased-batch';

/**
 * lease: the program works on it, and it goes back with the stream. given: the program may have it, so it is kept for the client when the
 * stream breaks. ahead: read ahead, and not shown to the program but for the oldest, as many as the client's window says.
 */
export type Use = 'lease' | 'given' | 'ahead';

interface Delivery {
  first: number;
  use: Use;
  leased: LeasedBatch;
  /** Of the first item in `leased`. */
  offset: number;
  count: number;
  open: number;
  /** Once a part was settled: which ones were. */
  settled: Uint8Array | undefined;
}

/** Items of one delivery that are not settled: from … to - 1 of `leased`. */
export interface LeasedRange {
  /** Tag of the first one. */
  first: number;
  use: Use;
  leased: LeasedBatch;
  from: number;
  to: number;
}

export class DeliveryTable {
  /** Items that are not settled. */
  size = 0;
  /** Those of them that were read ahead. */
  ahead = 0;
  private readonly deliveries: Delivery[] = [];

  /** The items from … to - 1 of a batch, which take the tags from `first` on. */
  add({ first, use, leased, from, to }: LeasedRange): void {
    const count = to - from;
    if (count === 0) return;
    this.deliveries.push({ first, use, leased, offset: from, count, open: count, settled: undefined });
    this.count(use, count);
  }

  /** Those with the tags first … first + count - 1, of one delivery or of several, or undefined when one of them is not here. */
  take(first: number, count: number): LeasedRange[] | undefined {
    if (count < 1) return undefined;
    const start = this.deliveries.findIndex((one) => one.first <= first && first < one.first + one.count);
    const parts: { delivery: Delivery; from: number; to: number }[] = [];
    for (let index = start, tag = first; tag < first + count; index++) {
      const delivery = this.deliveries[index];
      if (delivery === undefined || delivery.first > tag) return undefined;
      const from = tag - delivery.first;
      const to = Math.min(delivery.count, first + count - delivery.first);
      if (delivery.settled?.subarray(from, to).includes(1)) return undefined;
      parts.push({ delivery, from, to });
      tag = delivery.first + to;
    }
    for (const { delivery, from, to } of parts) {
      delivery.open -= to - from;
      this.count(delivery.use, from - to);
      if (delivery.open > 0) (delivery.settled ??= new Uint8Array(delivery.count)).fill(1, from, to);
    }
    // Most end at once: one piece, all of it.
    if (parts.length === 1 && parts[0]!.delivery.open > 0)
      return [rangeOf(parts[0]!.delivery, parts[0]!.from, parts[0]!.to)];
    const ended = parts.filter(({ delivery }) => delivery.open === 0).length;
    const firstEnded = this.deliveries.findIndex((delivery, at) => at >= start && delivery.open === 0);
    if (ended > 0) this.deliveries.splice(firstEnded, ended);
    return parts.map(({ delivery, from, to }) => rangeOf(delivery, from, to));
  }

  /** All that are left, in the order of their tags. */
  takeAll(): LeasedRange[] {
    this.size = this.ahead = 0;
    return this.deliveries.splice(0).flatMap((delivery) => {
      const { count, settled } = delivery;
      if (settled === undefined) return [rangeOf(delivery, 0, count)];
      const left: LeasedRange[] = [];
      for (let from = settled.indexOf(0); from !== -1;) {
        const next = settled.indexOf(1, from);
        const to = next === -1 ? count : next;
        left.push(rangeOf(delivery, from, to));
        from = settled.indexOf(0, to);
      }
      return left;
    });
  }

  private count(use: Use, change: number): void {
    this.size += change;
    if (use === 'ahead') this.ahead += change;
  }
}

function rangeOf({ first, use, leased, offset }: Delivery, from: number, to: number): LeasedRange {
  return { first: first + from, use, leased, from: offset + from, to: offset + to };
}

/** @returns the first `count` of a range and the others */
export function split(range: LeasedRange, count: number): [LeasedRange, LeasedRange] {
  const middle = range.from + count;
  return [
    { ...range, to: middle },
    { ...range, first: range.first + count, from: middle },
  ];
}

/** Newest first, each ahead of everything: the order is as it was. What the program never saw goes back as if it had not been delivered. */
export async function release(ranges: readonly LeasedRange[], seen: (range: LeasedRange) => boolean): Promise<void> {
  for (const range of [...ranges].reverse()) await range.leased.release(range.from, range.to, seen(range));
}

/** Ends what the ranges are: their items are the client's, or go back. @returns undefined when that is done */
export function endRanges(ranges: readonly LeasedRange[], back: boolean): void | Promise<void> {
  let ended: void | Promise<void> = undefined;
  for (const { leased, from, to, use } of back ? [...ranges].reverse() : ranges) {
    // What goes back was not shown, but for a lease that the program releases.
    const end = (): void | Promise<void> => (back ? leased.release(from, to, use === 'lease') : leased.ack(from, to));
    try {
      ended = ended === undefined ? end() : ended.then(end);
    } catch {
      ended = Promise.reject(new Error('not settled'));
    }
  }
  return ended;
}
