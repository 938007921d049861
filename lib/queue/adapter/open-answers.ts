/** What an inner queue was asked and has not answered yet: an item may be on its way, and is nowhere else then. */
import { Alarm } from '../../wait/deadline';

export class OpenAnswers {
  /** How many. */
  count = 0;
  private readonly waiting = new Set<() => void>();

  begin(): void {
    this.count++;
  }

  end(): void {
    if (--this.count === 0) for (const over of [...this.waiting]) over();
  }

  /** Once it has answered all, at the latest at the deadline: it may wait for what will not come. */
  settled(deadline: number): Promise<void> {
    if (this.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const over = (): void => {
        alarm.cancel();
        this.waiting.delete(over);
        resolve();
      };
      const alarm = new Alarm(deadline, over, true);
      this.waiting.add(over);
    });
  }
}
