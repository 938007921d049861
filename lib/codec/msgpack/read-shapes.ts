/** Functions that read the objects of one list of keys: each key compared with the one expected, the object made with all its values at once. */
import { compile } from '../compile';
import { input } from '../input';
import type { KnownTexts } from '../text';
import type { Shape } from './shapes';
import { keyBytes, wordsOf } from './shapes';

/** Reads what follows the count of keys. @throws Error */
export type ShapeReader = () => Record<string, unknown>;

/** What reads values of any kind, and short texts. */
export interface ValueReaders {
  read(this: void): unknown;
  words: KnownTexts;
}

type ReadOthers = (shape: Shape<ShapeReader>, values: readonly unknown[]) => Record<string, unknown>;

/** Undefined where no code may be made. @param readOthers goes on where another key comes, with the values that were read before */
export function shapeReader(
  shape: Shape<ShapeReader>,
  readers: ValueReaders,
  readOthers: ReadOthers,
): ShapeReader | undefined {
  const { keys } = shape;
  const names = keys.map((_, index) => `f${index}`);
  const fields = keys.map(
    (key, index) => `${readField(keyBytes(key), names.slice(0, index))}\n${readValue(`f${index}`)}`,
  );
  return compile<ShapeReader>(
    { input, shape, readOthers, ...readers },
    `return function readShape() {
      const b = input.bytes, v = input.view, end = input.end;
      let p = input.position, t = 0;
      let ${names.join(', ')};
      ${fields.join('\n')}
      input.position = p;
      shape.misses = 0;
      return { ${keys.map((key, index) => `${JSON.stringify(key)}: f${index}`).join(', ')} };
    };`,
  );
}

/** The key, and a byte of its value, have to be there. */
function readField(key: Buffer, before: readonly string[]): string {
  const differs = wordsOf(key).map(({ at, bytes, value }) =>
    bytes === 1 ? `b[p + ${at}] !== ${value}` : `v.getUint${bytes * 8}(p + ${at}) !== ${value}`,
  );
  return `if (end - p <= ${key.length} || ${differs.join(' || ')}) { input.position = p; return readOthers(shape, [${before.join(', ')}]); }
    p += ${key.length};`;
}

/** The commonest kinds here, the others by `read`. */
const readValue = (to: string): string => `t = b[p];
  if (t < 0x80) { ${to} = t; p++; }
  else if (t >= 0xa0 && t < 0xc0 && (t & 0x1f) < end - p) { ${to} = words.read(b, p + 1, t & 0x1f); p += 1 + (t & 0x1f); }
  else if (t === 0xcb && end - p > 8) { ${to} = v.getFloat64(p + 1); p += 9; }
  else if (t === 0xcd && end - p > 2) { ${to} = v.getUint16(p + 1); p += 3; }
  else if (t === 0xce && end - p > 4) { ${to} = v.getUint32(p + 1); p += 5; }
  else if (t === 0xc3) { ${to} = true; p++; }
  else if (t === 0xc2) { ${to} = false; p++; }
  else if (t === 0xc0) { ${to} = null; p++; }
  else { input.position = p; ${to} = read(); p = input.position; }`;
