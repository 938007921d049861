/** How the values of a schema are read; the bytes may come from anyone. What generated code and the interpreter have in common. */
import { isUtf8 } from 'node:buffer';
import { CODEC_MSGPACK, CODEC_RAW } from '../codec-ids';
import { input, take, truncated } from '../input';
import { decodeSpan } from '../msgpack/decode';
import { KnownTexts, readShortAscii, utf8 } from '../text';

export function takeText(): string {
  const length = input.view.getUint32(take(4), true);
  return text(take(length), length);
}

/** Of `length` bytes that are there. */
export const text = (from: number, length: number): string => texts.read(input.bytes, from, length);

/** Names of states, kinds and units, say. */
const texts = new KnownTexts(512, (bytes, from, length) => {
  const ascii = readShortAscii(bytes, from, length);
  if (ascii !== undefined) return ascii;
  const read = utf8(bytes, from, from + length);
  // What is no UTF-8 shows as this character, which may also have been sent.
  if (read.includes('\ufffd') && !isUtf8(bytes.subarray(from, from + length))) throw new Error('a text is not UTF-8');
  return read;
});

export function takeBytes(): Buffer {
  const length = input.view.getUint32(take(4), true);
  const from = take(length);
  return Buffer.from(input.bytes.subarray(from, from + length));
}

export function takeAny(): unknown {
  const at = take(5);
  const length = input.view.getUint32(at, true);
  const codec = input.bytes[at + 4];
  const from = take(length);
  const { bytes } = input;
  if (codec === CODEC_RAW) return Buffer.from(bytes.subarray(from, from + length));
  if (codec === CODEC_MSGPACK) return decodeSpan(from, from + length);
  throw new Error(`a field of any kind has the codec ${codec}, which is none for it`);
}

export function boolean(byte: number | undefined): boolean {
  if (byte === 1) return true;
  if (byte === 0) return false;
  throw new Error(`a bool is 0 or 1, found ${byte}`);
}

/** A safe integer of 64 bits. */
export function integer(low: number, high: number): number {
  const value = high * 0x100000000 + low;
  if (Number.isSafeInteger(value)) return value;
  throw new Error('an int is beyond what a number holds exactly');
}

export function date(milliseconds: number): Date {
  const value = new Date(milliseconds);
  if (!Object.is(value.getTime(), milliseconds)) throw new Error(`a date is ${milliseconds} ms, which no Date holds`);
  return value;
}

/** How many elements a list has, each of which takes `least` bytes: a forged count asks for no more memory than the input could fill. */
export function takeCount(least: number): number {
  const count = input.view.getUint32(take(4), true);
  if (count * least > input.end - input.position) throw truncated();
  return count;
}

/** For generated code. */
export const reading = { input, truncated, text, takeBytes, takeAny, boolean, integer, date, takeCount };
