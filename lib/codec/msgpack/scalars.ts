/** Values that hold no others, as MessagePack. */
import { types } from 'node:util';
import { trueBytesOf, trueLengthOf } from '../../util/built-ins';
import { cutOff, Refusal, refuseProperties } from '../refusals';
import { BINARY_KINDS, EXT_BIGINT, EXT_BINARY, EXT_INVALID_DATE, EXT_TIMESTAMP, EXT_UTF16 } from './extensions';
import { out, reserve, writeExtensionHeader } from './output';
import { writeAscii } from '../text';

const LONG_TEXT = 4 * 1024;

export function writeNumber(value: number): void {
  out.position = putNumber(out.bytes, out.view, out.position, value);
}

/** At `at`, where the margin is. Returns where it ends. */
export function putNumber(bytes: Buffer, view: DataView, at: number, value: number): number {
  if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
    if (value >= 0) {
      if (value < 0x80) {
        bytes[at] = value;
        return at + 1;
      }
      if (value < 0x100) {
        bytes[at] = 0xcc;
        bytes[at + 1] = value;
        return at + 2;
      }
      if (value < 0x10000) {
        bytes[at] = 0xcd;
        bytes[at + 1] = value >> 8;
        bytes[at + 2] = value;
        return at + 3;
      }
      bytes[at] = 0xce;
      view.setUint32(at + 1, value);
      return at + 5;
    }
    return putNegative(bytes, view, at, value);
  }
  if (Number.isSafeInteger(value) && value !== 0) return putLargeInteger(bytes, view, at, value);
  bytes[at] = 0xcb;
  view.setFloat64(at + 1, value);
  return at + 9;
}

function putNegative(bytes: Buffer, view: DataView, at: number, value: number): number {
  if (value >= -0x20) {
    bytes[at] = value;
    return at + 1;
  }
  if (value >= -0x80) {
    bytes[at] = 0xd0;
    bytes[at + 1] = value;
    return at + 2;
  }
  if (value >= -0x8000) {
    bytes[at] = 0xd1;
    bytes[at + 1] = value >> 8;
    bytes[at + 2] = value;
    return at + 3;
  }
  bytes[at] = 0xd2;
  view.setInt32(at + 1, value);
  return at + 5;
}

/** Beyond 32 bits with a sign. Other languages tell 2 ** 40 from 2.0 ** 40. */
function putLargeInteger(bytes: Buffer, view: DataView, at: number, value: number): number {
  if (value >= 0 && value < 0x100000000) {
    bytes[at] = 0xce;
    view.setUint32(at + 1, value);
    return at + 5;
  }
  bytes[at] = value > 0 ? 0xcf : 0xd3;
  view.setInt32(at + 1, Math.floor(value / 0x100000000));
  view.setUint32(at + 5, value >>> 0);
  return at + 9;
}

export function writeString(value: string): void {
  const length = value.length;
  // Counting first is cheaper than room for the worst case only where the text is long.
  const mostBytes = length < LONG_TEXT ? length * 3 : Math.max(Buffer.byteLength(value), length * 2);
  reserve(mostBytes + 8);
  if (length < 32 && writeAscii(out.bytes, out.position + 1, value)) {
    out.bytes[out.position] = 0xa0 | length;
    out.position += 1 + length;
    return;
  }
  if (!(value as unknown as { isWellFormed(): boolean }).isWellFormed()) {
    writeExtensionHeader(EXT_UTF16, length * 2);
    out.position += out.bytes.write(value, out.position, length * 2, 'utf16le');
    return;
  }
  // The header is as short as the text in ASCII would have it; the text moves when it turned out longer.
  const guess = stringHeaderBytes(length);
  const written = out.bytes.write(value, out.position + guess, mostBytes, 'utf8');
  const needed = stringHeaderBytes(written);
  if (needed !== guess)
    out.bytes.copyWithin(out.position + needed, out.position + guess, out.position + guess + written);
  if (needed === 1) {
    out.bytes[out.position] = 0xa0 | written;
  } else if (needed === 2) {
    out.bytes[out.position] = 0xd9;
    out.bytes[out.position + 1] = written;
  } else if (needed === 3) {
    out.bytes[out.position] = 0xda;
    out.view.setUint16(out.position + 1, written);
  } else {
    out.bytes[out.position] = 0xdb;
    out.view.setUint32(out.position + 1, written);
  }
  out.position += needed + written;
}

const stringHeaderBytes = (bytes: number): number => (bytes < 0x20 ? 1 : bytes < 0x100 ? 2 : bytes < 0x10000 ? 3 : 5);

/** Whatever a class of the program's says of its time. */
const { getTime } = Date.prototype;

export function writeDate(date: Date): void {
  const ms = getTime.call(date);
  if (Number.isNaN(ms)) return writeExtensionHeader(EXT_INVALID_DATE, 0);
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - seconds * 1000) * 1_000_000;
  if (seconds >= 0 && seconds < 2 ** 34) {
    out.bytes[out.position] = 0xd7;
    out.bytes[out.position + 1] = EXT_TIMESTAMP;
    out.view.setUint32(out.position + 2, nanoseconds * 4 + Math.floor(seconds / 2 ** 32));
    out.view.setUint32(out.position + 6, seconds >>> 0);
    out.position += 10;
  } else {
    writeExtensionHeader(EXT_TIMESTAMP, 12);
    out.view.setUint32(out.position, nanoseconds);
    out.view.setInt32(out.position + 4, Math.floor(seconds / 2 ** 32));
    out.view.setUint32(out.position + 8, seconds >>> 0);
    out.position += 12;
  }
}

/** Two's complement, big-endian, in whole 64-bit words. */
export function writeBigInt(value: bigint): void {
  const negative = value < 0n;
  const magnitude = (negative ? ~value : value).toString(16);
  // One bit more than the magnitude, for the sign.
  const words = Math.floor((magnitude.length * 4) / 64) + 1;
  const hex = BigInt.asUintN(words * 64, value)
    .toString(16)
    .padStart(words * 16, '0');
  writeExtensionHeader(EXT_BIGINT, words * 8);
  out.position += out.bytes.write(hex, out.position, words * 8, 'hex');
}

export function writeView(value: ArrayBufferView): void {
  const bytes = trueBytesOf(value);
  if (bytes === undefined) throw new Refusal(cutOff('a view'), value);
  if (!Buffer.isBuffer(value)) {
    const kind = BINARY_KINDS.findIndex((type) => Object.prototype.toString.call(value) === `[object ${type.name}]`);
    if (kind === -1) throw new Refusal(`a ${value.constructor.name}`, value);
    refuseProperties(value, types.isDataView(value) ? 0 : trueLengthOf(value as Uint8Array));
    return writeBytes(EXT_BINARY, kind, bytes);
  }
  const { length } = bytes;
  reserve(length + 8);
  if (length < 0x100) {
    out.bytes[out.position++] = 0xc4;
    out.bytes[out.position++] = length;
  } else if (length < 0x10000) {
    out.bytes[out.position++] = 0xc5;
    out.view.setUint16(out.position, length);
    out.position += 2;
  } else {
    out.bytes[out.position++] = 0xc6;
    out.view.setUint32(out.position, length);
    out.position += 4;
  }
  out.bytes.set(bytes, out.position);
  out.position += length;
}

/** @param kind a first byte before the payload; -1 for none. */
export function writeBytes(type: number, kind: number, bytes: Uint8Array): void {
  const prefix = kind === -1 ? 0 : 1;
  writeExtensionHeader(type, bytes.length + prefix);
  if (prefix === 1) out.bytes[out.position++] = kind;
  out.bytes.set(bytes, out.position);
  out.position += bytes.length;
}
