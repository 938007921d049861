/** Where dead letters go: with room or without, away for a while, or deaf; what could not be put there has its pause before the next try. */
import assert from 'node:assert/strict';
import { QueueConnectionError, QueueDescriptor } from '../../lib';
import type { WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import type { DeadLetter } from '../../lib/work';
import type { Item } from './worked-items';

let count = 0;

export class Graves extends StubQueue<DeadLetter<number>> {
  /** away: fails at once. deaf: never answers, takes nothing and heeds no signal. */
  state: 'there' | 'away' | 'deaf' = 'there';

  constructor(
    maxsize: number,
    private readonly items: readonly Item[],
    private readonly pauseMs: (attempts: number) => number,
    private readonly noting: <R>(check: () => R) => R,
  ) {
    super(QueueDescriptor.createLocalQueue(`dead-${count++}`, { maxsize }));
  }

  override async put(letter: DeadLetter<number>, options?: WaitOptions): Promise<void> {
    const item = this.items[letter.item]!;
    const earlyMs = item.unburiedUntilMs - performance.now();
    this.noting(() => assert(earlyMs <= 0, `it is buried again ${earlyMs} ms before its pause is over`));
    if (this.state === 'deaf') return new Promise(() => {});
    try {
      if (this.state === 'away') throw new QueueConnectionError('no way there');
      await super.put(letter, options);
    } catch (error) {
      // What was called off did not fail.
      if (options?.signal?.aborted !== true) item.unburiedUntilMs = performance.now() + this.pauseMs(letter.deliveries);
      throw error;
    }
  }
}
