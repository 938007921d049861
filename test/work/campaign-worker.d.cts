import type { NativeQueue, Queue } from '../../lib';
import type { consume, Consumer } from '../../lib/work';

export const POISON: number;

export interface Campaign {
  seed: number;
  maxDeliveries: number;
  /** Share of the attempts that throw. */
  bad: number;
  /** Share of those that never end. */
  hang: number;
  concurrency: number;
}

export function work(
  consumes: typeof consume,
  queues: { jobs: Queue; results: NativeQueue; dead: NativeQueue },
  campaign: Campaign,
): Consumer;
