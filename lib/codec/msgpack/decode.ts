/**
 * MessagePack to JavaScript values. The bytes may come from anyone: every length is checked before it is used, nesting and
 * allocation are bounded by the input, and no key can reach a prototype.
 */
import { QueueDescriptor } from '../../descriptor/descriptor';
import { setOwn } from '../../descriptor/metadata';
import { asBuffer } from '../../util/buffer-view';
import { input, letGo, take, truncated, useView } from '../input';
import { KnownTexts, readText } from '../text';
import { restoreError } from './error-fields';
import {
  BINARY_KINDS,
  EXT_BIGINT,
  EXT_BINARY,
  EXT_DESCRIPTOR,
  EXT_ERROR,
  EXT_INVALID_DATE,
  EXT_MAP,
  EXT_SET,
  EXT_TIMESTAMP,
  EXT_UNDEFINED,
  EXT_UTF16,
  MAX_DEPTH,
} from './extensions';
import { shapeReader } from './read-shapes';
import type { ShapeReader } from './read-shapes';
import { DEEPEST_SHAPE, MOST_KEYS, ShapeTable, slotOf } from './shapes';
import type { Shape } from './shapes';

let depth = 0;

/**
 * Everything is copied out: the bytes may be reused as soon as this returns.
 * @throws Error with a message that says what is wrong with the bytes.
 */
export function decodeMessagePack(bytes: Uint8Array, from = 0, to = bytes.length): unknown {
  input.bytes = asBuffer(bytes);
  const value = decodeSpan(from, to);
  letGo();
  return value;
}

/** A value that fills a part of what is being read. @throws Error */
export function decodeSpan(from: number, to: number): unknown {
  const outer = input.end;
  input.position = from;
  input.end = to;
  depth = 0;
  const value = read();
  if (input.position !== to) throw new Error(`the value ends after ${input.position - from} of ${to - from} bytes`);
  input.end = outer;
  return value;
}

const uint8 = (): number => input.bytes[take(1)] as number;
const uint16 = (): number => {
  const at = take(2);
  return ((input.bytes[at] as number) << 8) | (input.bytes[at + 1] as number);
};
const uint32 = (): number => input.bytes.readUInt32BE(take(4));

function read(): unknown {
  if (input.position >= input.end) throw truncated();
  const token = input.bytes[input.position++] as number;
  if (token < 0x80) return token;
  if (token < 0x90) return readObject(token & 0x0f);
  if (token < 0xa0) return readArray(token & 0x0f);
  if (token < 0xc0) return readWord(token & 0x1f);
  if (token >= 0xe0) return token - 0x100;
  switch (token) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return readBinary(uint8());
    case 0xc5:
      return readBinary(uint16());
    case 0xc6:
      return readBinary(uint32());
    case 0xc7:
      return readExtension(uint8());
    case 0xc8:
      return readExtension(uint16());
    case 0xc9:
      return readExtension(uint32());
    case 0xca:
      return input.bytes.readFloatBE(take(4));
    case 0xcb:
      return input.bytes.readDoubleBE(take(8));
    case 0xcc:
      return uint8();
    case 0xcd:
      return uint16();
    case 0xce:
      return uint32();
    case 0xcf:
      return integer64(input.bytes.readUInt32BE(take(8)), false);
    case 0xd0:
      return input.bytes.readInt8(take(1));
    case 0xd1:
      return input.bytes.readInt16BE(take(2));
    case 0xd2:
      return input.bytes.readInt32BE(take(4));
    case 0xd3:
      return integer64(input.bytes.readInt32BE(take(8)), true);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return readExtension(1 << (token - 0xd4));
    case 0xd9:
      return readString(uint8());
    case 0xda:
      return readString(uint16());
    case 0xdb:
      return readString(uint32());
    case 0xdc:
      return readArray(uint16());
    case 0xdd:
      return readArray(uint32());
    case 0xde:
      return readObject(uint16());
    case 0xdf:
      return readObject(uint32());
    default:
      throw new Error(`0x${token.toString(16)} begins no MessagePack value`);
  }
}

/** A number where that is exact, a BigInt beyond. The eight bytes end at the position. */
function integer64(high: number, signed: boolean): number | bigint {
  const value = high * 0x100000000 + input.bytes.readUInt32BE(input.position - 4);
  if (Number.isSafeInteger(value)) return value;
  return signed ? input.bytes.readBigInt64BE(input.position - 8) : input.bytes.readBigUInt64BE(input.position - 8);
}

function enter(): void {
  // An extension and the list in it count as two.
  if (++depth > 2 * MAX_DEPTH) throw new Error(`values are nested deeper than ${MAX_DEPTH} levels`);
}

function readArray(length: number): unknown[] {
  // Each element takes a byte at least, so a forged length cannot ask for more than the input could fill.
  if (length > input.end - input.position) throw truncated();
  enter();
  const array: unknown[] = [];
  for (let i = 0; i < length; i++) array.push(read());
  depth--;
  return array;
}

/** As `{}`, with room for more than four properties in the object itself. */
const PlainObject = function () {} as unknown as new () => Record<string, unknown>;
PlainObject.prototype = Object.prototype;

function readObject(length: number): Record<string, unknown> {
  if (length * 2 > input.end - input.position) throw truncated();
  enter();
  const shaped = length > 0 && length <= MOST_KEYS && depth <= DEEPEST_SHAPE && readers.isUsed;
  const object = shaped ? readShaped(length) : readProperties(new PlainObject(), 0, length);
  depth--;
  return object;
}

/** By the function made for objects of its keys, where there is one. */
function readShaped(length: number): Record<string, unknown> {
  const { bytes, position } = input;
  const first = bytes[position] as number;
  const slot = slotOf(length, first, bytes[position + 1] as number, bytes[position + (first & 0x1f)] as number);
  const shape = readers.shapes[slot];
  if (shape?.made !== undefined && shape.keys.length === length) {
    useView();
    return shape.made();
  }
  return readAndLearn(slot, new PlainObject(), 0, length);
}

/** The rest of an object whose keys from one on are not those of the shape: the values before that one have been read. */
function readOthers({ keys, slot }: Shape<ShapeReader>, values: readonly unknown[]): Record<string, unknown> {
  const object = new PlainObject();
  for (let i = 0; i < values.length; i++) object[keys[i] as string] = values[i];
  return readAndLearn(slot, object, values.length, keys.length);
}

function readAndLearn(
  slot: number,
  object: Record<string, unknown>,
  from: number,
  length: number,
): Record<string, unknown> {
  readProperties(object, from, length);
  if (readers.wants(slot)) readers.met(slot, Object.keys(object));
  return object;
}

/** Those of `length` that are not there yet. @throws Error where two of all are one: `1` and `"1"` are, too */
function readProperties(object: Record<string, unknown>, from: number, length: number): Record<string, unknown> {
  for (let i = from; i < length; i++) {
    const key = readKey();
    if (key === '__proto__') setOwn(object, key, read());
    else object[key] = read();
  }
  if (Object.keys(object).length !== length) throw new Error('a map has a key twice');
  return object;
}

/** The same few keys come in every item. */
const knownKeys = new KnownTexts(1024);
/** Names of states, kinds and units, say. */
const knownWords = new KnownTexts(512);

const readers = new ShapeTable<ShapeReader>((shape) => shapeReader(shape, { read, words: knownWords }, readOthers));

function readKey(): string {
  const { bytes, position, end } = input;
  const token = bytes[position] as number;
  if (position < end && token >= 0xa0 && token < 0xc0) {
    input.position = position + 1;
    const length = token & 0x1f;
    return knownKeys.read(bytes, take(length), length);
  }
  const key = read();
  if (typeof key === 'string') return key;
  // Other languages have maps with keys that are no strings; an object's keys are.
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean' || key === null)
    return String(key);
  throw new Error('a map has a key that is neither a string nor a number');
}

function readWord(length: number): string {
  return knownWords.read(input.bytes, take(length), length);
}

function readString(length: number): string {
  return readText(input.bytes, take(length), length);
}

function readBinary(length: number): Buffer {
  const from = take(length);
  return Buffer.from(input.bytes.subarray(from, input.position));
}

function readExtension(length: number): unknown {
  const type = uint8();
  const from = take(length);
  const to = input.position;
  switch (type) {
    case EXT_UNDEFINED:
      if (length !== 1 || input.bytes[from] !== 0) throw new Error('undefined is not one zero byte');
      return undefined;
    case EXT_MAP: {
      const flat = within(from, to, readList);
      if (flat.length % 2 !== 0) throw new Error('a Map has a key without a value');
      const map = new Map<unknown, unknown>();
      for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
      if (map.size * 2 !== flat.length) throw new Error('a Map has a key twice');
      return map;
    }
    case EXT_SET:
      return readSet(within(from, to, readList));
    case EXT_BIGINT:
      if (length === 0) throw new Error('a BigInt has no bytes');
      return BigInt.asIntN(length * 8, BigInt(`0x${input.bytes.toString('hex', from, to)}`));
    case EXT_BINARY:
      return readTyped(from, to);
    case EXT_DESCRIPTOR:
      return QueueDescriptor.fromJSON(input.bytes.toString('utf8', from, to));
    case EXT_ERROR:
      return restoreError(within(from, to, read));
    case EXT_UTF16:
      if (length % 2 !== 0) throw new Error('an ill-formed string ends in the middle of a unit');
      return input.bytes.toString('utf16le', from, to);
    case EXT_INVALID_DATE:
      if (length !== 0) throw new Error('an invalid Date has bytes');
      return new Date(NaN);
    case EXT_TIMESTAMP:
      return readTimestamp(from, length);
    default:
      throw new Error(`extension ${type} is not one this version knows`);
  }
}

/** Reads a value that must fill an extension's payload. */
function within<R>(from: number, to: number, readPayload: () => R): R {
  const outer = input.end;
  input.position = from;
  input.end = to;
  enter();
  const value = readPayload();
  depth--;
  if (input.position !== to) throw new Error('an extension is longer than the value in it');
  input.end = outer;
  return value;
}

function readList(): unknown[] {
  const value = read();
  if (!Array.isArray(value)) throw new Error('an extension that holds an array holds something else');
  return value;
}

function readSet(entries: unknown[]): Set<unknown> {
  const set = new Set(entries);
  if (set.size !== entries.length) throw new Error('a Set has an entry twice');
  return set;
}

function readTyped(from: number, to: number): unknown {
  const kind = input.bytes[from];
  const type = from < to && kind !== undefined ? BINARY_KINDS[kind] : undefined;
  if (type === undefined) throw new Error('a typed array is of no kind that this version knows');
  const bytes = new Uint8Array(input.bytes.subarray(from + 1, to));
  if (type === ArrayBuffer) return bytes.buffer;
  if (type === Uint8Array) return bytes;
  const elementBytes = type === DataView ? 1 : (type as typeof Int8Array).BYTES_PER_ELEMENT;
  if (bytes.length % elementBytes !== 0) throw new Error(`the bytes of a ${type.name} are no whole number of elements`);
  return new (type as new (buffer: ArrayBuffer) => unknown)(bytes.buffer);
}

function readTimestamp(from: number, length: number): Date {
  let seconds: number;
  let nanoseconds = 0;
  if (length === 4) {
    seconds = input.bytes.readUInt32BE(from);
  } else if (length === 8) {
    const high = input.bytes.readUInt32BE(from);
    nanoseconds = high >>> 2;
    seconds = (high & 3) * 2 ** 32 + input.bytes.readUInt32BE(from + 4);
  } else if (length === 12) {
    nanoseconds = input.bytes.readUInt32BE(from);
    seconds = input.bytes.readInt32BE(from + 4) * 2 ** 32 + input.bytes.readUInt32BE(from + 8);
  } else {
    throw new Error(`a timestamp has 4, 8 or 12 bytes, not ${length}`);
  }
  if (nanoseconds >= 1_000_000_000) throw new Error(`a timestamp has ${nanoseconds} nanoseconds, more than a second's`);
  const date = new Date(seconds * 1000 + Math.floor(nanoseconds / 1_000_000));
  if (Number.isNaN(date.getTime())) throw new Error('a timestamp is beyond what a Date can hold');
  return date;
}
