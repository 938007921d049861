/** Text and UTF-8: short ASCII without a call into the runtime, which takes longer than the text. */
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

/** Whether all of a short text is ASCII, and if so, written from `at` on. */
export function writeAscii(target: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return false;
    target[at + i] = code;
  }
  return true;
}

/** Longer ones, in bytes, are not kept. */
const LONGEST_KNOWN = 31;

/** Short texts that came before, found by their bytes: keys, and words that items have in common. */
export class KnownTexts {
  private readonly texts: string[];

  /**
   * @param places a power of two: how many are kept at most, each where one of another hash would not be
   * @param readOther reads what is not among them
   */
  constructor(
    private readonly places: number,
    private readonly readOther = readText,
  ) {
    this.texts = new Array<string>(places).fill('');
  }

  /** Of `length` bytes from `from` on, which must be there. */
  read(source: Buffer, from: number, length: number): string {
    if (length === 0 || length > LONGEST_KNOWN) return this.readOther(source, from, length);
    const last = from + length - 1;
    // Texts of a kind differ in their ends, as in numbers. What stands before the first byte says its length.
    const four =
      ((source[from] as number) << 24) ^
      ((source[from + (length >> 1)] as number) << 16) ^
      ((source[last - 1] as number) << 8) ^
      (source[last] as number);
    const place = (Math.imul(four + length * 0x10001, 0x9e3779b1) >>> 16) & (this.places - 1);
    const known = this.texts[place] as string;
    if (known.length === length && isAt(source, from, known)) return known;
    const text = this.readOther(source, from, length);
    // As many characters as bytes: each is what its byte says, which is what isAt() looks at, or U+FFFD, which it never finds.
    if (text.length === length) this.texts[place] = text;
    return text;
  }
}

function isAt(source: Buffer, from: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== source[from + i]) return false;
  return true;
}
