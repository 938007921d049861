/** Functions that write the objects of one list of keys: the keys as numbers made before, the values from their places. */
import { compile } from '../compile';
import { writeAscii } from '../text';
import { MARGIN, out, reserve } from './output';
import { putNumber } from './scalars';
import { keyBytes, wordsOf } from './shapes';

/**
 * Writes an object, and its values at `depth`; returns false, and writes nothing, where it has other keys, or is an instance and not `plain`.
 * @throws Refusal
 */
export type ShapeWriter = (object: object, keys: readonly string[], depth: number, plain: boolean) => boolean;

type Write = (value: unknown, depth: number) => void;

const { getPrototypeOf, prototype: objectPrototype } = Object;

const countOf = (length: number): number[] => (length < 16 ? [0x80 | length] : [0xde, length >> 8, length & 0xff]);

/** Undefined where no code may be made. @param write what writes values of any kind */
export function shapeWriter(keys: readonly string[], write: Write): ShapeWriter | undefined {
  const pieces = keys.map(keyBytes);
  pieces[0] = Buffer.concat([Buffer.from(countOf(keys.length)), pieces[0] as Buffer]);
  let rest = pieces.reduce((sum, { length }) => sum + length + MARGIN, 0);
  const room = rest;
  const fields = pieces.map((piece, index) => {
    rest -= piece.length + MARGIN;
    return `${writeWords(piece)} ${writeValue(`o[${JSON.stringify(keys[index])}]`, rest)}`;
  });
  const differs = keys.map((key, index) => `k[${index}] !== ${JSON.stringify(key)}`);
  return compile<ShapeWriter>(
    { out, reserve, putNumber, writeAscii, write, getPrototypeOf, objectPrototype },
    `return function writeShape(o, k, depth, plain) {
      if (k.length !== ${keys.length} || ${differs.join(' || ')}) return false;
      if (plain) { const prototype = getPrototypeOf(o); if (prototype !== objectPrototype && prototype !== null) return false; }
      reserve(${room});
      let p = out.position, b = out.bytes, v = out.view;
      ${fields.join('\n')}
      out.position = p;
      return true;
    };`,
  );
}

const writeWords = (piece: Buffer): string =>
  wordsOf(piece)
    .map(({ at, bytes, value }) =>
      bytes === 1 ? `b[p + ${at}] = ${value};` : `v.setUint${bytes * 8}(p + ${at}, ${value});`,
    )
    .join(' ') + ` p += ${piece.length};`;

/** The commonest kinds here, the others by `write`. There is room for `rest` bytes behind a value here, which others may take. */
const writeValue = (from: string, rest: number): string => `{ const x = ${from};
  if (typeof x === 'number') p = putNumber(b, v, p, x);
  else if (typeof x === 'string' && x.length < 32 && writeAscii(b, p + 1, x)) { b[p] = 0xa0 | x.length; p += 1 + x.length; }
  else if (x === null) b[p++] = 0xc0;
  else if (typeof x === 'boolean') b[p++] = x ? 0xc3 : 0xc2;
  else { out.position = p; write(x, depth); reserve(${rest}); p = out.position; b = out.bytes; v = out.view; } }`;
