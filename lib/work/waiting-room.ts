/** Items on lease whose pause is not over. They take no place of the concurrency. */
import { Alarm } from '../wait/deadline';
import { putAside } from './held-items';
import type { HeldItem } from './held-items';

export class WaitingRoom<T> {
  private readonly pauses = new Map<HeldItem<T>, { alarm: Alarm; overAt: number }>();

  /** @param due is given each item when its pause is over. */
  constructor(private readonly due: (held: HeldItem<T>) => void) {}

  get size(): number {
    return this.pauses.size;
  }

  /** A pause keeps the process alive: the item is work that waits. */
  add(held: HeldItem<T>, pauseMs: number): void {
    putAside(held);
    const ring = (): void => {
      this.pauses.delete(held);
      this.due(held);
    };
    const overAt = performance.now() + pauseMs;
    this.pauses.set(held, { alarm: new Alarm(overAt, ring, true), overAt });
  }

  /** The one that came first, whose pause ends here. */
  takeFirst(): HeldItem<T> | undefined {
    const [first] = this.pauses.keys();
    if (first === undefined) return undefined;
    this.pauses.get(first)!.alarm.cancel();
    this.pauses.delete(first);
    return first;
  }

  /** All of them, and what is left of their pauses, which end here. */
  clear(): { held: HeldItem<T>; pauseMs: number }[] {
    const now = performance.now();
    const items = [...this.pauses].map(([held, { overAt }]) => ({ held, pauseMs: Math.max(0, overAt - now) }));
    for (const { alarm } of this.pauses.values()) alarm.cancel();
    this.pauses.clear();
    return items;
  }
}
