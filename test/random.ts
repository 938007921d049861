/** A small seeded generator (mulberry32), so that a failing run can be repeated: SEED=… npm test. */
export interface Random {
  readonly seed: number;
  /** 0 (inclusive) to 1 (exclusive). */
  next(): number;
  /** A whole number from 0 to limit - 1. */
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
}

/** `SEED`, or another for each run; printed, so that what fails can be repeated. */
export function chooseSeed(what: string): number {
  const seed = process.env.SEED === undefined ? (Math.random() * 2 ** 31) | 0 : Number(process.env.SEED);
  console.info(`${what}: SEED=${seed}`);
  return seed;
}

export function seeded(what: string, seed = chooseSeed(what)): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { seed, next, below, pick: (from) => from[below(from.length)] as (typeof from)[number] };
}
