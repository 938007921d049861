import { LONGEST_TIMER_MS } from './deadline';

/** While anybody holds it, the process does not exit for want of work: a waiting promise alone would not keep it. */
class KeepAlive {
  private timer: NodeJS.Timeout | undefined;
  private holders = 0;

  hold(): void {
    if (this.holders++ > 0) return;
    if (this.timer === undefined) this.timer = setInterval(() => {}, LONGEST_TIMER_MS);
    else this.timer.ref();
  }

  drop(): void {
    if (--this.holders === 0) this.timer?.unref();
  }
}

export const keepAlive = new KeepAlive();
