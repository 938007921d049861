/** Puts of dead letters, which may have to wait for room, and how they end with what they are for. */
import { untilAborted } from '../wait/abort-listeners';
import { Alarm } from '../wait/deadline';
import type { HeldItem } from './held-items';
import type { WorkOptions } from './options';
import { CALLED_OFF } from './takes';

/** So long a put that was called off has to say whether it is in: an item that is buried may not come again. */
const LAST_WORD_MS = 1000;

export class Burials<T> {
  private readonly underWay = new Map<AbortController, HeldItem<T>>();
  private areOver = false;

  constructor(private readonly bury: WorkOptions<T>['bury']) {}

  /** @param deliveries attempts @throws CALLED_OFF, at the latest `LAST_WORD_MS` after it was */
  async put(held: HeldItem<T>, error: unknown, deliveries: number): Promise<void> {
    const { bury } = this;
    if (bury === undefined) return;
    if (this.areOver) throw CALLED_OFF;
    const [controller, patience] = [new AbortController(), new AbortController()];
    this.underWay.set(controller, held);
    const impatience = new Alarm(Infinity, () => patience.abort(CALLED_OFF), true);
    controller.signal.addEventListener('abort', () => impatience.set(performance.now() + LAST_WORD_MS));
    try {
      const { crashes } = held;
      const buried = bury(held.item, error, { deliveries, crashes, signal: controller.signal });
      await untilAborted(Promise.resolve(buried), patience.signal);
    } finally {
      impatience.cancel();
      this.underWay.delete(controller);
    }
  }

  /** Of items that have gone back. What is nowhere else goes on. */
  callOff(hasGoneBack: (held: HeldItem<T>) => boolean): void {
    for (const [controller, held] of [...this.underWay]) if (hasGoneBack(held)) controller.abort(CALLED_OFF);
  }

  /** All of them, and what comes after. */
  end(): void {
    this.areOver = true;
    this.callOff(() => true);
  }
}
