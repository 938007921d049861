/** How the values of a schema are written: what generated code and the interpreter have in common. */
import { types } from 'node:util';
import { isBytes, trueLengthOf } from '../../util/built-ins';
import { CODEC_MSGPACK, CODEC_RAW } from '../codec-ids';
import { writeValue } from '../msgpack/encode';
import { out, reserve } from '../msgpack/output';
import { refuseProperties } from '../refusals';
import { writeAscii } from '../text';

/** Room that is made for each string beforehand: its length and this many bytes. */
export const SHORT_TEXT = 40;
const LONG_TEXT = 4 * 1024;

/** Thrown where a value does not fit; which one, and why, is found out afterwards. */
export const MISFIT = Symbol('misfit');

/** Of a field that may be absent: what Object.prototype has under its name is not its value. */
export const ownValue = (record: object, name: string): unknown =>
  Object.hasOwn(record, name) || !(name in Object.prototype) ? (record as Record<string, unknown>)[name] : undefined;

/** A text of any length and kind at the position; there is room for `rest` more bytes then. */
export function writeText(text: string, rest: number): void {
  if (!(text as unknown as { isWellFormed(): boolean }).isWellFormed()) throw MISFIT;
  const { length } = text;
  const most = length < LONG_TEXT ? length * 3 : Buffer.byteLength(text);
  reserve(most + 4 + rest);
  const written = out.bytes.write(text, out.position + 4, most, 'utf8');
  out.view.setUint32(out.position, written, true);
  out.position += written + 4;
}

export function writeBytes(value: unknown, rest: number): void {
  if (!isBytes(value)) throw MISFIT;
  const length = trueLengthOf(value);
  reserve(length + 4 + rest);
  out.view.setUint32(out.position, length, true);
  out.bytes.set(value, out.position + 4);
  out.position += length + 4;
}

/** As codec 'auto' does: raw bytes, or MessagePack. */
export function writeAny(value: unknown, rest: number): void {
  reserve(5 + rest);
  const at = out.position - out.start;
  out.position += 5;
  let codec = CODEC_RAW;
  if (isBytes(value)) {
    const length = trueLengthOf(value);
    reserve(length);
    out.bytes.set(value, out.position);
    out.position += length;
  } else {
    codec = CODEC_MSGPACK;
    writeValue(value);
  }
  const from = out.start + at;
  out.view.setUint32(from, out.position - from - 5, true);
  out.bytes[from + 4] = codec;
  reserve(rest);
}

/** Milliseconds since the epoch; NaN for an invalid date. */
export function millisecondsOf(value: unknown): number {
  if (!types.isDate(value)) throw MISFIT;
  refuseProperties(value, 0);
  return Date.prototype.getTime.call(value);
}

/** The length of a list, of which nothing but the elements would arrive. */
export function lengthOf(value: unknown): number {
  if (!Array.isArray(value)) throw MISFIT;
  refuseProperties(value, value.length);
  return value.length;
}

/** @throws MISFIT where a record has fields of its own that its schema has not; those without a value do not count */
export function refuseOthers(record: object, known: ReadonlySet<string>): void {
  for (const key of Object.keys(record))
    if (!known.has(key) && (record as Record<string, unknown>)[key] !== undefined) throw MISFIT;
}

/** Within what its bits hold, and not -0, which no integer is. */
export function isInteger(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most && !Object.is(value, -0);
}

export const fitsFloat = (value: unknown): value is number =>
  typeof value === 'number' && (Number.isFinite(Math.fround(value)) || !Number.isFinite(value));

export const fitsBits = (value: unknown, signed: boolean): value is bigint =>
  typeof value === 'bigint' && (signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)) === value;

/** For generated code. */
export const writing = {
  ...{ MISFIT, ownValue, writeAscii, writeText, writeBytes, writeAny, millisecondsOf, lengthOf },
  ...{ refuseOthers, isInteger, fitsFloat, fitsBits },
};
