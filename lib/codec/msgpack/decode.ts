/**
 * MessagePack to JavaScript values. The bytes may come from anyone: every length is checked before it is used, nesting and
 * allocation are bounded by the input, and no key can reach a prototype.
 */
import { QueueDescriptor } from '../../descriptor/descriptor';
import { setOwn } from '../../descriptor/metadata';
import { readText } from '../text';
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

const NOTHING = Buffer.alloc(0);
let source: Buffer = NOTHING;
let position = 0;
let end = 0;
let depth = 0;
/** How many keys that were no strings have been read. */
let otherKeys = 0;

/**
 * Everything is copied out: the bytes may be reused as soon as this returns.
 * @throws Error with a message that says what is wrong with the bytes.
 */
export function decodeMessagePack(bytes: Uint8Array, from = 0, to = bytes.length): unknown {
  source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  position = from;
  end = to;
  depth = 0;
  const value = read();
  if (position !== end) throw new Error(`the value ends after ${position - from} of ${to - from} bytes`);
  source = NOTHING;
  return value;
}

function truncated(): Error {
  return new Error('the bytes end in the middle of a value');
}

/** Moves past `length` bytes that must be there. Returns where they begin. */
function advance(length: number): number {
  const from = position;
  if (length > end - from) throw truncated();
  position = from + length;
  return from;
}

const uint8 = (): number => source[advance(1)] as number;
const uint16 = (): number => source.readUInt16BE(advance(2));
const uint32 = (): number => source.readUInt32BE(advance(4));

function read(): unknown {
  if (position >= end) throw truncated();
  const token = source[position++] as number;
  if (token < 0x80) return token;
  if (token < 0x90) return readObject(token & 0x0f);
  if (token < 0xa0) return readArray(token & 0x0f);
  if (token < 0xc0) return readString(token & 0x1f);
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
      return source.readFloatBE(advance(4));
    case 0xcb:
      return source.readDoubleBE(advance(8));
    case 0xcc:
      return uint8();
    case 0xcd:
      return uint16();
    case 0xce:
      return uint32();
    case 0xcf:
      return integer64(source.readUInt32BE(advance(8)), false);
    case 0xd0:
      return source.readInt8(advance(1));
    case 0xd1:
      return source.readInt16BE(advance(2));
    case 0xd2:
      return source.readInt32BE(advance(4));
    case 0xd3:
      return integer64(source.readInt32BE(advance(8)), true);
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

/** A number where that is exact, a BigInt beyond. The eight bytes end at `position`. */
function integer64(high: number, signed: boolean): number | bigint {
  const value = high * 0x100000000 + source.readUInt32BE(position - 4);
  if (Number.isSafeInteger(value)) return value;
  return signed ? source.readBigInt64BE(position - 8) : source.readBigUInt64BE(position - 8);
}

function enter(): void {
  // An extension and the list in it count as two.
  if (++depth > 2 * MAX_DEPTH) throw new Error(`values are nested deeper than ${MAX_DEPTH} levels`);
}

function readArray(length: number): unknown[] {
  // Each element takes a byte at least, so a forged length cannot ask for more than the input could fill.
  if (length > end - position) throw truncated();
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
  if (length * 2 > end - position) throw truncated();
  enter();
  const object = new PlainObject();
  const before = otherKeys;
  for (let i = 0; i < length; i++) {
    const key = readKey(((length & 15) << 4) | (i & 15));
    if (key === '__proto__') setOwn(object, key, read());
    else object[key] = read();
  }
  if (otherKeys !== before && Object.keys(object).length !== length)
    throw new Error('a map has two keys that are one as a string');
  depth--;
  return object;
}

/** A short ASCII key that came before, and the bytes it came in. */
interface KnownKey {
  readonly key: string;
  readonly codes: readonly number[];
}

const KNOWN_KEYS = 1024;
/** The same few keys come in every item. */
const knownKeys = new Array<KnownKey | undefined>(KNOWN_KEYS).fill(undefined);
/** The keys of the last objects, by how many these had and which it was. */
const lastKeys = new Array<KnownKey | undefined>(256).fill(undefined);

/** Whether it is the text of its length that begins at `from`. */
function isAt(from: number, { codes }: KnownKey): boolean {
  for (let i = 0; i < codes.length; i++) if (codes[i] !== source[from + i]) return false;
  return true;
}

function readKey(slot: number): string {
  const token = source[position] as number;
  if (position < end && token > 0xa0 && token < 0xc0) {
    const length = token & 0x1f;
    const from = position + 1;
    if (length > end - from) throw truncated();
    const last = lastKeys[slot];
    if (last !== undefined && last.codes.length === length && isAt(from, last)) {
      position = from + length;
      return last.key;
    }
    const hash =
      ((((source[from] as number) * 31 + (source[from + length - 1] as number)) * 31 +
        (source[from + (length >> 1)] as number)) *
        31 +
        length) &
      (KNOWN_KEYS - 1);
    const known = knownKeys[hash];
    if (known !== undefined && known.codes.length === length && isAt(from, known)) {
      lastKeys[slot] = known;
      position = from + length;
      return known.key;
    }
    position = from;
    const key = readString(length);
    // As many characters as bytes: ASCII.
    if (key.length === length) knownKeys[hash] = { key, codes: [...source.subarray(from, from + length)] };
    return key;
  }
  const key = read();
  if (typeof key === 'string') return key;
  // Other languages have maps with keys that are no strings; an object's keys are.
  otherKeys++;
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean' || key === null)
    return String(key);
  throw new Error('a map has a key that is neither a string nor a number');
}

function readString(length: number): string {
  return readText(source, advance(length), length);
}

function readBinary(length: number): Buffer {
  const from = advance(length);
  return Buffer.from(source.subarray(from, position));
}

function readExtension(length: number): unknown {
  const type = uint8();
  const from = advance(length);
  const to = position;
  switch (type) {
    case EXT_UNDEFINED:
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
      return BigInt.asIntN(length * 8, BigInt(`0x${source.toString('hex', from, to)}`));
    case EXT_BINARY:
      return readTyped(from, to);
    case EXT_DESCRIPTOR:
      return QueueDescriptor.fromJSON(source.toString('utf8', from, to));
    case EXT_ERROR:
      return restoreError(within(from, to, read));
    case EXT_UTF16:
      return source.toString('utf16le', from, to);
    case EXT_INVALID_DATE:
      return new Date(NaN);
    case EXT_TIMESTAMP:
      return readTimestamp(from, length);
    default:
      throw new Error(`extension ${type} is not one this version knows`);
  }
}

/** Reads a value that must fill an extension's payload. */
function within<R>(from: number, to: number, readPayload: () => R): R {
  const outer = end;
  position = from;
  end = to;
  enter();
  const value = readPayload();
  depth--;
  if (position !== to) throw new Error('an extension is longer than the value in it');
  end = outer;
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
  const kind = source[from];
  const type = from < to && kind !== undefined ? BINARY_KINDS[kind] : undefined;
  if (type === undefined) throw new Error('a typed array is of no kind that this version knows');
  const bytes = new Uint8Array(source.subarray(from + 1, to));
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
    seconds = source.readUInt32BE(from);
  } else if (length === 8) {
    const high = source.readUInt32BE(from);
    nanoseconds = high >>> 2;
    seconds = (high & 3) * 2 ** 32 + source.readUInt32BE(from + 4);
  } else if (length === 12) {
    nanoseconds = source.readUInt32BE(from);
    seconds = source.readInt32BE(from + 4) * 2 ** 32 + source.readUInt32BE(from + 8);
  } else {
    throw new Error(`a timestamp has 4, 8 or 12 bytes, not ${length}`);
  }
  if (nanoseconds >= 1_000_000_000) throw new Error(`a timestamp has ${nanoseconds} nanoseconds, more than a second's`);
  const date = new Date(seconds * 1000 + Math.floor(nanoseconds / 1_000_000));
  if (Number.isNaN(date.getTime())) throw new Error('a timestamp is beyond what a Date can hold');
  return date;
}
