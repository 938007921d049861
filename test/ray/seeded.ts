/** A small reproducible source of chance (mulberry32); its seed is printed by the tests that use it. */
export class Seeded {
  private state: number;

  constructor(readonly seed: number) {
    this.state = seed >>> 0;
  }

  /** 0 (inclusive) to 1 (exclusive). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** 0 to limit - 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** From `SEED`, or new for each run. */
export function chooseSeed(): number {
  const given = process.env.SEED;
  return given === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given);
}

/** A value of the kinds that go both ways unchanged. */
export function anyValue(chance: Seeded, depth = 0): unknown {
  const kind = chance.below(depth > 4 ? 9 : 14);
  switch (kind) {
    case 0:
      return null;
    case 1:
      return chance.next() < 0.5;
    case 2:
      return chance.below(600) - 300;
    case 3:
      return Math.trunc((chance.next() - 0.5) * 2 * Number.MAX_SAFE_INTEGER);
    case 4:
      return (chance.next() - 0.5) * 10 ** chance.below(300);
    case 5: {
      const magnitude = BigInt(
        `0x1${Array.from({ length: 16 + chance.below(60) }, () => chance.below(16).toString(16)).join('')}`,
      );
      return chance.next() < 0.5 ? magnitude : -magnitude;
    }
    case 6:
    case 7:
      return anyText(chance);
    case 8:
      return Buffer.from(Array.from({ length: chance.below(chance.next() < 0.1 ? 700 : 20) }, () => chance.below(256)));
    case 9:
    case 10:
      return Array.from({ length: chance.below(6) }, () => anyValue(chance, depth + 1));
    case 11: {
      const object: Record<string, unknown> = {};
      for (let left = chance.below(6); left > 0; left--) define(object, anyText(chance), anyValue(chance, depth + 1));
      return object;
    }
    case 12:
      return new Map([[chance.below(1000), anyValue(chance, depth + 1)], [anyText(chance), anyValue(chance, depth + 1)]] as [unknown, unknown][]); // prettier-ignore
    default:
      return new Set(Array.from({ length: chance.below(5) }, () => chance.below(1000)));
  }
}

function anyText(chance: Seeded): string {
  const alphabet = [
    'a',
    'Z',
    '0',
    ' ',
    '"',
    '\\',
    '\n',
    '\0',
    'é',
    'ß',
    '漢',
    '字',
    '😀',
    '\u{10ffff}',
    '__proto__',
    '\ufeff',
  ];
  return Array.from({ length: chance.below(chance.next() < 0.05 ? 400 : 9) }, () => chance.pick(alphabet)).join('');
}

function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}
