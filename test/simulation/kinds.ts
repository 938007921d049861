/** What may happen in one schedule, and for how long. */
import type { Random } from '../random';

/**
 * Kinds of steps, each as often as `often` says, a quarter of them left out: with fewer kinds in it a schedule gets further with those
 * (Groce and others, Swarm Testing, 2012).
 */
export function drawKinds<K extends string>(random: Random, often: Readonly<Record<K, number>>): K[] {
  const all = Object.entries<number>(often) as [K, number][];
  const some = all.filter(() => random.below(4) > 0);
  return (some.length > 0 ? some : all).flatMap(([kind, times]) => Array<K>(times).fill(kind));
}

/** How many steps: most faults need few, some many. */
export const drawSteps = (random: Random): number => random.pick([10, 25, 50]);
