/** Text and integers as pickles hold them. */
import { PickleError } from './types';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Python writes lone surrogates as if they were characters ("surrogatepass"), which strict UTF-8 refuses. */
export function decodeText(bytes: Buffer): string {
  if (bytes.length < 64 && isAscii(bytes)) return bytes.toString('latin1');
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return decodeSurrogates(bytes);
  }
}

function isAscii(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at]! > 0x7f) return false;
  return true;
}

function decodeSurrogates(bytes: Buffer): string {
  let text = '';
  let start = 0;
  const strict = (end: number): void => {
    try {
      text += strictUtf8.decode(bytes.subarray(start, end));
    } catch {
      throw new PickleError('A string is not valid UTF-8.');
    }
  };
  for (let at = 0; at + 2 < bytes.length; at++) {
    if (bytes[at] !== 0xed || (bytes[at + 1]! & 0xe0) !== 0xa0 || (bytes[at + 2]! & 0xc0) !== 0x80) continue;
    strict(at);
    text += String.fromCharCode(0xd000 | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f));
    start = at + 3;
    at += 2;
  }
  strict(bytes.length);
  return text;
}

export function decodeInteger(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  if (bytes.length <= 6) return bytes.readIntLE(0, bytes.length);
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  const value = BigInt.asIntN(bytes.length * 8, unsigned);
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
