/** UTF-8 to text: short ASCII without a call into the runtime, which takes longer than the text. */
const { fromCharCode } = String;

/** Of `length` bytes from `from` on, which must be there. What is no UTF-8 becomes U+FFFD. */
export function readText(source: Buffer, from: number, length: number): string {
  return readShortAscii(source, from, length) ?? utf8(source, from, from + length);
}

/** What Buffer's toString() comes to, without the look at the name of the encoding, which a small object notices. */
interface Slices extends Buffer {
  utf8Slice(from: number, to: number): string;
}
export const utf8 =
  'utf8Slice' in Buffer.prototype
    ? (source: Buffer, from: number, to: number): string => (source as Slices).utf8Slice(from, to)
    : (source: Buffer, from: number, to: number): string => source.toString('utf8', from, to);

/** Undefined where the text is longer than 15 bytes or no ASCII. */
export function readShortAscii(source: Buffer, from: number, length: number): string | undefined {
  if (length > 15) return undefined;
  const end = from + length;
  let text = '';
  let at = from;
  if (length >= 8) {
    const a = source[at] as number;
    const b = source[at + 1] as number;
    const c = source[at + 2] as number;
    const d = source[at + 3] as number;
    const e = source[at + 4] as number;
    const f = source[at + 5] as number;
    const g = source[at + 6] as number;
    const h = source[at + 7] as number;
    if (((a | b | c | d | e | f | g | h) & 0x80) !== 0) return undefined;
    text = fromCharCode(a, b, c, d, e, f, g, h);
    at += 8;
  }
  for (; end - at >= 4; at += 4) {
    const a = source[at] as number;
    const b = source[at + 1] as number;
    const c = source[at + 2] as number;
    const d = source[at + 3] as number;
    if (((a | b | c | d) & 0x80) !== 0) return undefined;
    text += fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const code = source[at] as number;
    if (code >= 0x80) return undefined;
    text += fromCharCode(code);
  }
  return text;
}
