/** JSON with integers of any size: where a number would be rounded, beyond ±(2^53 - 1), they are BigInt. */
import { randomBytes } from 'node:crypto';

/** Stands in front of an integer's digits while it passes through JSON as a text. No text from elsewhere can know it. */
const MARK = `integer ${randomBytes(16).toString('hex')} `;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');
/** The least that JSON.parse rounds has as many digits. */
const LONG_INTEGER = /^-?\d{16,}$/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** @throws SyntaxError */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return value;
  const marked = outsideStrings(text, (piece) =>
    piece.replace(NUMBER, (token) =>
      LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token,
    ),
  );
  if (marked === text) return value;
  return JSON.parse(marked, (_key, entry: unknown) =>
    typeof entry === 'string' && entry.startsWith(MARK) ? BigInt(entry.slice(MARK.length)) : entry,
  );
}

/** The text of JSON with what is in no string replaced. A loop: one expression for a string of megabytes would exhaust the stack. */
function outsideStrings(text: string, replace: (piece: string) => string): string {
  let replaced = '';
  for (let at = 0; ;) {
    const open = text.indexOf('"', at);
    if (open === -1) return replaced + replace(text.slice(at));
    let close = text.indexOf('"', open + 1);
    while (isEscaped(text, close)) close = text.indexOf('"', close + 1);
    replaced += replace(text.slice(at, open)) + text.slice(open, close + 1);
    at = close + 1;
  }
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === '\\') first--;
  return (at - first) % 2 === 1;
}

/** As JSON.stringify, with the digits of a BigInt. `replacer` sees none. */
export function stringifyJson(value: unknown, replacer: (value: unknown) => unknown): string | undefined {
  let marked = false;
  const text = JSON.stringify(value, (_key, entry: unknown) => {
    if (typeof entry !== 'bigint') return replacer(entry);
    marked = true;
    return `${MARK}${entry}`;
  }) as string | undefined;
  return marked ? text?.replace(MARKED, '$1') : text;
}
