import type { Random } from '../random';

/** A value of the kinds that go both ways unchanged. */
export function anyValue(chance: Random, depth = 0): unknown {
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

function anyText(chance: Random): string {
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
