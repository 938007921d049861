/** Items on lease whose pause is not over. They take no place of the concurrency. */
import { Alarm } from '../wait/deadline';
import type { HeldItem } from './held-items';

export class WaitingRoom<T> {
  private readonly alarms = new Map<HeldItem<T>, Alarm>();

  /** @param due is given each item when its pause is over. */
  constructor(private readonly due: (held: HeldItem<T>) => void) {}

  get size(): number {
    return this.alarms.size;
  }

  /** A pause keeps the process alive: the item is work that waits. */
  add(held: HeldItem<T>, pauseMs: number): void {
    const ring = (): void => {
      this.alarms.delete(held);
      this.due(held);
    };
    this.alarms.set(held, new Alarm(performance.now() + pauseMs, ring, true));
  }

  has(wanted: (held: HeldItem<T>) => boolean): boolean {
    for (const held of this.alarms.keys()) if (wanted(held)) return true;
    return false;
  }

  /** All of them, whose pauses end here. */
  clear(): HeldItem<T>[] {
    const items = [...this.alarms.keys()];
    for (const alarm of this.alarms.values()) alarm.cancel();
    this.alarms.clear();
    return items;
  }
}
