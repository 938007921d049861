/** One line on a terminal's stderr that says how a stream of items gets on. Nothing at all where stderr is no terminal. */
import { count } from './table';

const EVERY_MS = 200;
/** Clears the line and leaves the cursor at its start. */
const CLEAR = '\r\u001b[K';

export class Progress {
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly start = performance.now();
  private items = 0;
  private shownItems = 0;
  private shownAt = this.start;
  private rate = 0;
  private asking = false;
  private stopped = false;

  /** @param depth asks how many items are in the queue, if one is involved. */
  constructor(
    private readonly verb: string,
    private readonly depth?: () => Promise<number>,
    shown: boolean = process.stderr.isTTY === true,
  ) {
    this.timer = shown ? setInterval(() => void this.show(), EVERY_MS).unref() : undefined;
  }

  add(items: number): void {
    this.items += items;
  }

  private async show(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const depth = await this.depth?.().then(count, () => '?');
    this.asking = false;
    const now = performance.now();
    const recent = ((this.items - this.shownItems) * 1000) / Math.max(1, now - this.shownAt);
    this.rate = this.shownItems === 0 ? recent : 0.7 * this.rate + 0.3 * recent;
    this.shownItems = this.items;
    this.shownAt = now;
    if (this.stopped) return;
    process.stderr.write(
      `${CLEAR}${this.verb} ${count(this.items)} items   ${count(this.rate)}/s${depth === undefined ? '' : `   queue ${depth}`}`,
    );
  }

  /** Takes the line away; on a terminal the sum stays. */
  stop(): void {
    if (this.timer === undefined || this.stopped) return;
    this.stopped = true;
    clearInterval(this.timer);
    const seconds = (performance.now() - this.start) / 1000;
    process.stderr.write(
      `${CLEAR}${this.verb} ${count(this.items)} items in ${seconds.toFixed(1)} s (${count(this.items / seconds)}/s)\n`,
    );
  }
}
