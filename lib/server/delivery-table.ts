/**
 * What one client has, by tag, kept as the deliveries in which it went out. Which of the leases have ended is their run's to know: a settle
 * that names one which has ended is refused as a whole.
 */
import type { LeaseEnd, LeaseRun } from '../queue/lease-table';
import type { Awaitable } from '../queue/types';
import { toNumber } from '../transports/rpc/wire/protocol';
import type { Range, Settle } from '../transports/rpc/wire/protocol';

/**
 * lease: the program works on it, and it goes back with the stream. given: the program may have it, so it is kept for the client when the
 * stream breaks. ahead: read ahead, and not shown to the program but for the oldest, as many as the client's window says.
 */
export type Use = 'lease' | 'given' | 'ahead';

/** The items from … to - 1 of a run, delivered with the tags from `first` on. */
export interface Delivery {
  first: number;
  use: Use;
  run: LeaseRun;
  from: number;
  to: number;
}

export class DeliveryTable {
  /** Items that were read ahead. */
  ahead = 0;
  private readonly deliveries: Delivery[] = [];

  add(delivery: Delivery): void {
    const { use, from, to } = delivery;
    if (from === to) return;
    this.deliveries.push(delivery);
    if (use === 'ahead') this.ahead += to - from;
  }

  /** Whether nothing is open. */
  get isEmpty(): boolean {
    return !this.deliveries.some(isAnyOpen);
  }

  /**
   * Ends the leases with the tags first … first + count - 1, of one delivery or of several: their items are the client's, or go back. Of
   * what goes back only a lease was seen by the program, unless its client says that it was not.
   * @returns undefined when one of them is not here or has ended; else `ended`, which is over when their queue has been told
   */
  settle(first: number, count: number, how: LeaseEnd): { ended: Awaitable<void> } | undefined {
    if (count < 1) return undefined;
    const start = this.deliveries.findIndex((one) => one.first <= first && first < one.first + sizeOf(one));
    const parts: Delivery[] = [];
    for (let tag = first; tag < first + count;) {
      const delivery = this.deliveries[start + parts.length];
      if (delivery === undefined || delivery.first > tag) return undefined;
      const part = sliceOf(delivery, tag - delivery.first, Math.min(first + count - delivery.first, sizeOf(delivery)));
      if (!part.run.isOpen(part.from, part.to)) return undefined;
      parts.push(part);
      tag += part.to - part.from;
    }
    let ended: Awaitable<void> = undefined;
    for (const { run, from, to, use } of parts) {
      if (use === 'ahead') this.ahead -= to - from;
      const undone = how === 'undo' || (how === 'release' && use !== 'lease');
      ended = undone ? run.undo(from, to, ended) : run.end(from, to, how === 'ack', ended);
    }
    this.forgetEnded(start, parts.length);
    return { ended };
  }

  private forgetEnded(start: number, count: number): void {
    const open = this.deliveries.slice(start, start + count).filter(isAnyOpen);
    if (open.length < count) this.deliveries.splice(start, count, ...open);
  }

  /** All that are open, in the order of their tags; they are this table's no more. */
  takeAll(): Delivery[] {
    this.ahead = 0;
    return this.deliveries
      .splice(0)
      .flatMap((delivery) =>
        delivery.run
          .openIn(delivery.from, delivery.to)
          .map(([from, to]) => sliceOf(delivery, from - delivery.from, to - delivery.from)),
      );
  }
}

/** How a settle ends its leases. */
export function endOf({ release, unseen }: Settle): LeaseEnd {
  if (release !== true) return 'ack';
  return unseen === true ? 'undo' : 'release';
}

const isAnyOpen = ({ run, from, to }: Delivery): boolean => run.isAnyOpen(from, to);
const sizeOf = ({ from, to }: Delivery): number => to - from;

/** Its items start … end - 1, counted from its first one. */
function sliceOf({ first, use, run, from }: Delivery, start: number, end: number): Delivery {
  return { first: first + start, use, run, from: from + start, to: from + end };
}

/** @returns the first `count` items of a delivery and the others */
export function split(delivery: Delivery, count: number): [Delivery, Delivery] {
  return [sliceOf(delivery, 0, count), sliceOf(delivery, count, sizeOf(delivery))];
}

/** @param ranges of tags, in order. @returns what lies in them, and the rest */
export function divide(deliveries: readonly Delivery[], ranges: readonly Range[]): [Delivery[], Delivery[]] {
  const inside: Delivery[] = [];
  const outside: Delivery[] = [];
  let at = 0;
  for (const delivery of deliveries) {
    for (let rest = delivery; sizeOf(rest) > 0;) {
      const first = at < ranges.length ? toNumber(ranges[at]!.first) : Infinity;
      const end = at < ranges.length ? first + toNumber(ranges[at]!.count) : Infinity;
      if (end <= rest.first) {
        at++;
        continue;
      }
      const [before, from] = split(rest, Math.max(0, Math.min(first - rest.first, sizeOf(rest))));
      const [own, after] = split(from, Math.max(0, Math.min(end - from.first, sizeOf(from))));
      if (sizeOf(before) > 0) outside.push(before);
      if (sizeOf(own) > 0) inside.push(own);
      rest = after;
    }
  }
  return [inside, outside];
}

/** Oldest first, as they are wanted by those who wait. What the program never saw goes back as if it had not been delivered. */
export async function release(deliveries: readonly Delivery[], seen: (delivery: Delivery) => boolean): Promise<void> {
  let released: Awaitable<void> = undefined;
  for (const delivery of deliveries) {
    const { run, from, to } = delivery;
    released = seen(delivery) ? run.end(from, to, false, released) : run.undo(from, to, released);
  }
  await released;
}
