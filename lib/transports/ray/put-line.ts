/**
 * The order in which the puts of one handle begin: those made after a putMany do once it has handed all of its items over, but for the time
 * in which its source is silent. What has begun keeps its order from there on.
 */
import { onAbort } from '../../wait/abort-listeners';
import { Alarm, deadlineOf } from '../../wait/deadline';
import type { Wait } from '../../wait/options';

export class PutPlace {
  /** Its source is silent: those behind pass. */
  isAside = false;
  /** Undefined once it has begun. */
  begin: (() => void) | undefined;
  /** Its time is over: it holds nobody up. */
  late: Alarm | undefined;

  constructor(readonly line: PutLine) {}

  setAside(isAside: boolean): void {
    this.isAside = isAside;
    if (isAside) this.line.serve();
  }

  /** All has been handed over, or nothing more will be. */
  leave(): void {
    this.late?.cancel();
    this.line.leave(this);
  }
}

export class PutLine {
  /** In the order in which they were made. */
  private readonly places = new Set<PutPlace>();

  private get isTaken(): boolean {
    for (const { isAside } of this.places) if (!isAside) return true;
    return false;
  }

  /**
   * At its turn, or as soon as it does not wait for that, or no longer: its time is over, its signal fired, or the handle is closed. What
   * begins so hears from its queue what becomes of it.
   */
  begin<R>(wait: Wait, start: () => Promise<R>): Promise<R> {
    if (wait.timeoutMs === 0 || !this.isTaken) return start();
    const place = new PutPlace(this);
    return this.turnOf(place, wait).then(() => {
      const started = start();
      place.leave();
      return started;
    });
  }

  /** A putMany, which begins at its turn and has this place until it leaves it, or its time is over. */
  async hold(wait: Wait): Promise<PutPlace> {
    const place = new PutPlace(this);
    if (wait.timeoutMs === 0) return place;
    place.late = new Alarm(deadlineOf(wait), () => place.leave());
    if (this.isTaken) await this.turnOf(place, wait);
    else this.places.add(place);
    return place;
  }

  private turnOf(place: PutPlace, wait: Wait): Promise<void> {
    return new Promise((resolve) => {
      const alarm = new Alarm(deadlineOf(wait), () => place.begin?.());
      const ignoreAbort = onAbort(wait.signal, () => place.begin?.());
      place.begin = () => {
        place.begin = undefined;
        alarm.cancel();
        ignoreAbort();
        resolve();
      };
      this.places.add(place);
    });
  }

  /** Those whose turn it is. */
  serve(): void {
    for (const place of this.places) {
      place.begin?.();
      if (!place.isAside) return;
    }
  }

  leave(place: PutPlace): void {
    if (this.places.delete(place)) this.serve();
  }

  /** The handle is closed: nobody waits here for a turn. */
  close(): void {
    for (const place of this.places) place.begin?.();
  }
}
