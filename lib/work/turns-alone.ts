/**
 * When a consumer lets go of everything to run suspects. One that waits for its handlers to end takes nothing for as long as the longest of
 * them, and whoever died has left suspects to all others: if they did so together, nobody would be there for good items. They cannot talk to
 * each other, so one whose handlers all began a moment ago goes first (one that has just started, say in the place of the dead: it costs
 * nobody anything), and only when none of those came by, each of the others at a time that it draws.
 */
/** Handlers that have run so long may run for long. */
const QUICK_MS = 10;
/** Whoever died is replaced within this time, or is not. */
const LEAST_MS = 2000;
/** Then consumers draw their turns from so many milliseconds. */
const SPREAD_MS = 8000;
/** A turn is drawn for the suspects of one time: when it has come and there is none for so long, their time is over. */
const FORGOTTEN_MS = 200;
/** Of the time, suspects get at most a quarter. */
const OPEN_SHARE = 3;

export class TurnsAlone {
  private notBefore = 0;
  private seenMs = -Infinity;
  private drawnMs = -Infinity;
  private isDrawn = false;

  /** A suspect is here whose pause is over. */
  isWanted(): void {
    const now = performance.now();
    if (now > Math.max(this.seenMs, this.drawnMs) + FORGOTTEN_MS) this.draw(now);
    this.seenMs = now;
  }

  /** @param oldestMs When the handler that has run longest began; undefined: none runs. */
  beginsMs(oldestMs: number | undefined): number {
    if (oldestMs === undefined || oldestMs + QUICK_MS > performance.now()) return this.notBefore;
    return Math.max(this.notBefore, this.drawnMs);
  }

  /** @returns when to give up if anything still runs then */
  begins(): number {
    const now = performance.now();
    this.isDrawn = this.drawnMs <= now;
    return this.isDrawn ? Infinity : now + QUICK_MS;
  }

  ended(beganMs: number): void {
    const now = performance.now();
    this.notBefore = now + OPEN_SHARE * (now - beganMs);
    if (this.isDrawn) this.draw(now);
  }

  private draw(now: number): void {
    this.drawnMs = now + LEAST_MS + Math.random() * SPREAD_MS;
  }
}
