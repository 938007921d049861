/** Values that hold no others, as MessagePack. */
import { types } from 'node:util';
import { Refusal, refuseProperties } from '../refusals';
import { BINARY_KINDS, EXT_BIGINT, EXT_BINARY, EXT_INVALID_DATE, EXT_TIMESTAMP, EXT_UTF16 } from './extensions';
import { out, reserve, writeExtensionHeader } from './output';

const LONG_TEXT = 4 * 1024;

export function writeNumber(value: number): void {
  if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
    if (value >= 0) {
      if (value < 0x80) {
        out.bytes[out.position++] = value;
      } else if (value < 0x100) {
        out.bytes[out.position++] = 0xcc;
        out.bytes[out.position++] = value;
      } else if (value < 0x10000) {
        out.bytes[out.position++] = 0xcd;
        out.bytes[out.position++] = value >> 8;
        out.bytes[out.position++] = value;
      } else {
        out.bytes[out.position++] = 0xce;
        out.view.setUint32(out.position, value);
        out.position += 4;
      }
    } else if (value >= -0x20) {
      out.bytes[out.position++] = value;
    } else if (value >= -0x80) {
      out.bytes[out.position++] = 0xd0;
      out.bytes[out.position++] = value;
    } else if (value >= -0x8000) {
      out.bytes[out.position++] = 0xd1;
      out.bytes[out.position++] = value >> 8;
      out.bytes[out.position++] = value;
    } else {
      out.bytes[out.position++] = 0xd2;
      out.view.setInt32(out.position, value);
      out.position += 4;
    }
  } else if (Number.isSafeInteger(value) && value !== 0) {
    // Other languages tell 2 ** 40 from 2.0 ** 40.
    if (value >= 0 && value < 0x100000000) {
      out.bytes[out.position++] = 0xce;
      out.view.setUint32(out.position, value);
      out.position += 4;
    } else {
      out.bytes[out.position++] = value > 0 ? 0xcf : 0xd3;
      out.view.setInt32(out.position, Math.floor(value / 0x100000000));
      out.view.setUint32(out.position + 4, value >>> 0);
      out.position += 8;
    }
  } else {
    out.bytes[out.position++] = 0xcb;
    out.view.setFloat64(out.position, value);
    out.position += 8;
  }
}

export function writeString(value: string): void {
  const length = value.length;
  // Counting first is cheaper than room for the worst case only where the text is long.
  const mostBytes = length < LONG_TEXT ? length * 3 : Math.max(Buffer.byteLength(value), length * 2);
  reserve(mostBytes + 8);
  if (length < 32) {
    const from = out.position + 1;
    let i = 0;
    for (; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) break;
      out.bytes[from + i] = code;
    }
    if (i === length) {
      out.bytes[out.position] = 0xa0 | length;
      out.position = from + length;
      return;
    }
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

export function writeDate(date: Date): void {
  const ms = date.getTime();
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
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (!Buffer.isBuffer(value)) {
    const kind = BINARY_KINDS.findIndex((type) => Object.prototype.toString.call(value) === `[object ${type.name}]`);
    if (kind === -1) throw new Refusal(`a ${value.constructor.name}`, value);
    refuseProperties(value, types.isDataView(value) ? 0 : (value as Uint8Array).length);
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
