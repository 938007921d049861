/** JSON that changes no number: integers beyond ±(2^53 - 1), which a number would round, are BigInt, and what no number can hold is refused. */
import { nodeCrypto } from './lazy-node';

let mark: string | undefined;
/** Stands in front of a number's text while it passes through JSON as a string. No text from elsewhere can know it. */
const getMark = (): string => (mark ??= `number ${nodeCrypto().randomBytes(16).toString('hex')} `);

/** What may need another look: the least that JSON.parse rounds has as many digits, the least that overflows such an exponent. */
const SUSPICIOUS = /\d{16}|[eE][+-]?\d{3}/;
const LONG_INTEGER = /^-?\d{16,}$/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * @param integer what becomes of one beyond ±(2^53 - 1)
 * @throws SyntaxError; RangeError for a number that would become Infinity or, without being it, 0
 */
export function parseJson(text: string, integer: (digits: string) => unknown = BigInt): unknown {
  const value: unknown = JSON.parse(text);
  if (!SUSPICIOUS.test(text)) return value;
  const marked = outsideStrings(text, (piece) => piece.replace(NUMBER, markInexact));
  if (marked === text) return value;
  const front = getMark();
  return JSON.parse(marked, (_key, entry: unknown) =>
    typeof entry === 'string' && entry.startsWith(front) ? integer(entry.slice(front.length)) : entry,
  );
}

/** A number where it is that integer, or prints as the very digits; otherwise a BigInt. */
export function numberIfSame(digits: string): number | bigint {
  const number = Number(digits);
  return String(number) === digits || BigInt(number) === BigInt(digits) ? number : BigInt(digits);
}

function markInexact(token: string): string {
  const number = Number(token);
  if (LONG_INTEGER.test(token)) return Number.isSafeInteger(number) ? token : `"${getMark()}${token}"`;
  const shown = token.length > 40 ? `${token.slice(0, 40)}…` : token;
  if (!Number.isFinite(number)) throw new RangeError(`${shown} is beyond what a number can hold`);
  if (number === 0 && /^[^eE]*[1-9]/.test(token)) throw new RangeError(`${shown} is closer to 0 than a number can be`);
  return token;
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

/** Stands in JSON as it is, without quotes. */
export class Verbatim {
  constructor(readonly text: string) {}
}

/** As JSON.stringify with a replacer, which may also return a Verbatim. */
export function stringifyJson(
  value: unknown,
  replacer: (this: unknown, key: string, value: unknown) => unknown,
): string | undefined {
  let marked = false;
  const text = JSON.stringify(value, function (this: unknown, key, entry: unknown) {
    const replaced = replacer.call(this, key, entry);
    if (!(replaced instanceof Verbatim)) return replaced;
    marked = true;
    return `${getMark()}${replaced.text}`;
  }) as string | undefined;
  return marked ? text?.replace(new RegExp(`"${getMark()}([^"]*)"`, 'g'), '$1') : text;
}
