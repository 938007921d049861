/** What may happen in one schedule, and for how long. */
import type { Random } from '../random';

/**
 * Kinds of steps, each as often as `often` says, a quarter of them left out: with fewer kinds in it a schedule gets further with those
 * (Groce and others, Swarm Testing, 2012). @returns what draws the next one
 */
export function drawKinds<K extends string>(random: Random, often: Readonly<Record<K, number>>): () => K {
  const all = Object.entries<number>(often) as [K, number][];
  const some = all.filter(() => random.below(4) > 0);
  const kinds = some.length > 0 ? some : all;
  const total = kinds.reduce((sum, [, times]) => sum + times, 0);
  return () => {
    let left = random.below(total);
    return kinds.find(([, times]) => (left -= times) < 0)![0];
  };
}

/**
 * How many steps. Short ones are many in a second and find hardly anything in it: what has to come together is there all the more often the
 * more calls are under way (docs/verification.md has the figures).
 */
export const drawSteps = (random: Random): number => random.pick([10, 25, 50, 100]);
