/** A small seeded generator (mulberry32), so that a failing run can be repeated: SEED=… npm test. */
export interface Random {
  readonly seed: number;
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
}

export function seeded(what: string): Random {
  const seed = process.env.SEED === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(process.env.SEED);
  console.info(`${what}: SEED=${seed}`);
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { seed, below, pick: (from) => from[below(from.length)] as (typeof from)[number] };
}
