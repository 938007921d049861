/**
 * JavaScript values to MessagePack, in one pass, into a buffer that is reused or handed out in pieces.
 *
 * Own code rather than a library because an item must arrive as it was sent or be refused: functions and symbols at any depth,
 * cycles, Maps beside objects, -0, keys named `__proto__` and registrations made elsewhere in the process all matter here.
 */
import { types } from 'node:util';
import { QueueDescriptor } from '../../descriptor/descriptor';
import { SerializationError } from '../../errors';
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
  EXT_UTF16,
  MAX_DEPTH,
} from './extensions';

const CHUNK_BYTES = 64 * 1024;
/** A chunk with less room than this is left to its present readers. */
const WORTH_STARTING = 2 * 1024;
const LONG_TEXT = 4 * 1024;
/** Larger buffers are not kept for the next item. */
const KEEP_BYTES = 4 * 1024 * 1024;
/** Every fixed-size write fits into this many bytes, so one check per value is enough. */
const MARGIN = 32;
/** Below this depth nothing is remembered; beyond it, what is being written is, so that a cycle shows soon. */
const WATCHED_DEPTH = 64;

let target: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
let view = new DataView(target.buffer);
let start = 0;
let position = 0;
let limit = CHUNK_BYTES - MARGIN;
let encoding = false;
const ancestors: object[] = [];

/** Where an encoded value lies. The bytes are good until the next value is encoded. */
export interface Span {
  buffer: Buffer;
  start: number;
  end: number;
}

const span: Span = { buffer: target, start: 0, end: 0 };

/** For callers that copy the bytes away at once: the buffer is reused. @throws SerializationError */
export function encodeToSpan(value: unknown): Span {
  if (encoding) {
    const bytes = encodeNested(value);
    return { buffer: bytes, start: 0, end: bytes.length };
  }
  run(value);
  span.buffer = target;
  span.start = start;
  span.end = position;
  position = start;
  if (target.length > KEEP_BYTES) use(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0);
  return span;
}

/** The bytes are the caller's to keep. @throws SerializationError */
export function encodeMessagePack(value: unknown): Buffer {
  if (encoding) return encodeNested(value);
  run(value);
  const bytes = target.subarray(start, position);
  if (target.length > KEEP_BYTES || target.length - position < WORTH_STARTING)
    use(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0);
  else start = position;
  return bytes;
}

/** An encode called from a getter or toJSON of a value that is being encoded. */
function encodeNested(value: unknown): Buffer {
  const outer = { target, start, position, ancestors: ancestors.splice(0) };
  use(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0);
  try {
    run(value);
    return target.subarray(start, position);
  } finally {
    use(outer.target, outer.start);
    position = outer.position;
    ancestors.push(...outer.ancestors);
    encoding = true;
  }
}

function use(buffer: Buffer, at: number): void {
  target = buffer;
  view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  start = position = at;
  limit = buffer.length - MARGIN;
}

function run(value: unknown): void {
  position = start;
  encoding = true;
  try {
    write(value, 0);
  } catch (error) {
    position = start;
    ancestors.length = 0;
    if (error instanceof SerializationError) throw error;
    throw new SerializationError(`The item cannot be encoded as MessagePack: ${(error as Error)?.message ?? error}.`, {
      cause: error,
    });
  } finally {
    encoding = false;
  }
}

/** After this, `bytes` and a margin can be written at `position`. */
function reserve(bytes: number): void {
  if (position + bytes <= limit) return;
  const used = position - start;
  const needed = used + bytes + MARGIN;
  const bigger = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed + (needed >> 1)));
  target.copy(bigger, 0, start, position);
  use(bigger, 0);
  position = used;
}

function write(value: unknown, depth: number): void {
  if (position > limit) reserve(MARGIN);
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      return writeNumber(value);
    case 'boolean':
      target[position++] = value ? 0xc3 : 0xc2;
      return;
    case 'object':
      if (value === null) target[position++] = 0xc0;
      else writeObject(value, depth);
      return;
    case 'undefined':
      target[position++] = 0xd4;
      target[position++] = 0;
      target[position++] = 0;
      return;
    case 'bigint':
      return writeBigInt(value);
    default:
      throw cannotSend(`a ${typeof value}`);
  }
}

function cannotSend(what: string): SerializationError {
  return new SerializationError(
    `An item, or something in it, is ${what}, which cannot be sent. The queue is unchanged.`,
  );
}

function writeNumber(value: number): void {
  if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
    if (value >= 0) {
      if (value < 0x80) {
        target[position++] = value;
      } else if (value < 0x100) {
        target[position++] = 0xcc;
        target[position++] = value;
      } else if (value < 0x10000) {
        target[position++] = 0xcd;
        target[position++] = value >> 8;
        target[position++] = value;
      } else {
        target[position++] = 0xce;
        view.setUint32(position, value);
        position += 4;
      }
    } else if (value >= -0x20) {
      target[position++] = value;
    } else if (value >= -0x80) {
      target[position++] = 0xd0;
      target[position++] = value;
    } else if (value >= -0x8000) {
      target[position++] = 0xd1;
      target[position++] = value >> 8;
      target[position++] = value;
    } else {
      target[position++] = 0xd2;
      view.setInt32(position, value);
      position += 4;
    }
  } else if (Number.isSafeInteger(value) && value !== 0) {
    // Other languages tell 2 ** 40 from 2.0 ** 40.
    if (value >= 0 && value < 0x100000000) {
      target[position++] = 0xce;
      view.setUint32(position, value);
      position += 4;
    } else {
      target[position++] = value > 0 ? 0xcf : 0xd3;
      view.setInt32(position, Math.floor(value / 0x100000000));
      view.setUint32(position + 4, value >>> 0);
      position += 8;
    }
  } else {
    target[position++] = 0xcb;
    view.setFloat64(position, value);
    position += 8;
  }
}

function writeString(value: string): void {
  const length = value.length;
  // Counting first is cheaper than room for the worst case only where the text is long.
  const mostBytes = length < LONG_TEXT ? length * 3 : Math.max(Buffer.byteLength(value), length * 2);
  reserve(mostBytes + 8);
  if (length < 32) {
    const from = position + 1;
    let i = 0;
    for (; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) break;
      target[from + i] = code;
    }
    if (i === length) {
      target[position] = 0xa0 | length;
      position = from + length;
      return;
    }
  }
  if (!(value as unknown as { isWellFormed(): boolean }).isWellFormed()) {
    writeExtensionHeader(EXT_UTF16, length * 2);
    position += target.write(value, position, length * 2, 'utf16le');
    return;
  }
  // The header is as short as the text in ASCII would have it; the text moves when it turned out longer.
  const guess = stringHeaderBytes(length);
  const written = target.write(value, position + guess, mostBytes, 'utf8');
  const needed = stringHeaderBytes(written);
  if (needed !== guess) target.copyWithin(position + needed, position + guess, position + guess + written);
  if (needed === 1) {
    target[position] = 0xa0 | written;
  } else if (needed === 2) {
    target[position] = 0xd9;
    target[position + 1] = written;
  } else if (needed === 3) {
    target[position] = 0xda;
    view.setUint16(position + 1, written);
  } else {
    target[position] = 0xdb;
    view.setUint32(position + 1, written);
  }
  position += needed + written;
}

const stringHeaderBytes = (bytes: number): number => (bytes < 0x20 ? 1 : bytes < 0x100 ? 2 : bytes < 0x10000 ? 3 : 5);

/** Small counts ride in the first byte; the tokens for 16 and 32 bits follow each other. */
function writeCount(count: number, small: number, token16: number): void {
  if (position > limit) reserve(MARGIN);
  if (count < 16) {
    target[position++] = small | count;
  } else if (count < 0x10000) {
    target[position++] = token16;
    view.setUint16(position, count);
    position += 2;
  } else {
    target[position++] = token16 + 1;
    view.setUint32(position, count);
    position += 4;
  }
}

function writeObject(value: object, depth: number): void {
  if (depth >= WATCHED_DEPTH) watch(value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    writeProperties(value, depth);
  } else if (Array.isArray(value)) {
    const { length } = value;
    writeCount(length, 0x90, 0xdc);
    for (let i = 0; i < length; i++) write(value[i], depth + 1);
  } else {
    writeInstance(value, depth);
  }
  if (depth >= WATCHED_DEPTH) ancestors.pop();
}

function watch(value: object, depth: number): void {
  if (ancestors.includes(value)) throw cannotSend('a value that contains itself');
  if (depth >= MAX_DEPTH) throw cannotSend(`nested deeper than ${MAX_DEPTH} levels`);
  ancestors.push(value);
}

function writeProperties(value: object, depth: number): void {
  const keys = Object.keys(value);
  const { length } = keys;
  writeCount(length, 0x80, 0xde);
  for (let i = 0; i < length; i++) {
    const key = keys[i] as string;
    writeKey(key, ((length & 15) << 4) | (i & 15));
    write((value as Record<string, unknown>)[key], depth + 1);
  }
}

/** A key as it is written, in words of which the last is filled up with zeros. */
interface WrittenKey {
  readonly key: string;
  readonly bytes: number;
  readonly words: readonly number[];
}

const KEPT_KEYS = 1024;
const LONGEST_KEPT = 24;
/** Short keys that came before: the same few come in every item. */
const writtenKeys = new Map<string, WrittenKey>();
/** Those of the last objects, by how many keys these had and which key it was. */
const lastKeys: (WrittenKey | undefined)[] = new Array<WrittenKey | undefined>(256).fill(undefined);

function writeKey(key: string, slot: number): void {
  let written = lastKeys[slot];
  if (written === undefined || written.key !== key) {
    written = writtenKeys.get(key);
    if (written === undefined) return writeNewKey(key);
    lastKeys[slot] = written;
  }
  if (position > limit) reserve(MARGIN);
  const { words } = written;
  // What is too much is overwritten by what follows.
  for (let i = 0, at = position; i < words.length; i++, at += 4) view.setUint32(at, words[i] as number);
  position += written.bytes;
}

function writeNewKey(key: string): void {
  const from = position - start;
  writeString(key);
  const bytes = position - start - from;
  if (bytes > LONGEST_KEPT || writtenKeys.size === KEPT_KEYS) return;
  const padded = Buffer.alloc((bytes + 3) & ~3);
  target.copy(padded, 0, start + from, position);
  const words: number[] = [];
  for (let at = 0; at < padded.length; at += 4) words.push(padded.readUInt32BE(at));
  writtenKeys.set(key, { key, bytes, words });
}

function writeInstance(value: object, depth: number): void {
  if (ArrayBuffer.isView(value)) return writeView(value);
  if (types.isDate(value)) return writeDate(value);
  if (types.isMap(value)) return writeMap(value, depth);
  if (types.isSet(value)) return writeSet(value, depth);
  if (value instanceof QueueDescriptor) return writeBytes(EXT_DESCRIPTOR, -1, Buffer.from(JSON.stringify(value)));
  if (types.isArrayBuffer(value)) return writeBytes(EXT_BINARY, 0, new Uint8Array(value));
  if (types.isNativeError(value)) return writeError(value, depth);
  if (types.isBoxedPrimitive(value)) return write(value.valueOf(), depth + 1);
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function')
    return write((value as { toJSON(): unknown }).toJSON(), depth + 1);
  const refused = nothingToSend(value);
  if (refused !== undefined) throw cannotSend(refused);
  // Instances go as their own properties; so do the plain objects of another realm (a vm context).
  writeProperties(value, depth);
}

/** Objects whose substance is not in their properties: sending those would be a silent loss. */
export function nothingToSend(value: object): string | undefined {
  if (types.isPromise(value)) return 'a Promise (await it first)';
  if (types.isRegExp(value)) return 'a RegExp (send its source and flags)';
  if (types.isWeakMap(value) || types.isWeakSet(value) || value instanceof WeakRef) return 'a weak reference';
  if (types.isSharedArrayBuffer(value)) return 'a SharedArrayBuffer';
  if (types.isGeneratorObject(value) || types.isMapIterator(value) || types.isSetIterator(value)) return 'an iterator';
  if (isHollow(value)) return `${nameOf(value)} without properties of its own`;
  return undefined;
}

/**
 * Whether an instance keeps what it is in places that no property shows (Blob, Response, a class with private fields): it has no
 * properties, and methods or accessors that must be about something else. An instance of a class that is only a name goes as it is.
 */
function isHollow(value: object): boolean {
  if (types.isBoxedPrimitive(value)) return false;
  for (const key in value) if (Object.hasOwn(value, key)) return false;
  let prototype = Object.getPrototypeOf(value) as object | null;
  // Not the last one: it is the Object.prototype of this realm or another.
  for (
    let next;
    prototype !== null && (next = Object.getPrototypeOf(prototype) as object | null) !== null;
    prototype = next
  ) {
    if (Reflect.ownKeys(prototype).some((key) => key !== 'constructor')) return true;
  }
  return false;
}

function nameOf(value: object): string {
  const { constructor } = value;
  const name = typeof constructor === 'function' ? constructor.name : '';
  return name === '' ? 'a class instance' : `an instance of ${name}`;
}

function writeExtensionHeader(type: number, length: number): void {
  reserve(length + 8);
  if (length < 0x100) {
    target[position++] = 0xc7;
    target[position++] = length;
  } else if (length < 0x10000) {
    target[position++] = 0xc8;
    view.setUint16(position, length);
    position += 2;
  } else {
    target[position++] = 0xc9;
    view.setUint32(position, length);
    position += 4;
  }
  target[position++] = type;
}

/** An extension whose length shows only once it is written. Returns where its header lies, relative to the start of the item. */
function openExtension(type: number): number {
  reserve(8);
  const at = position - start;
  target[position] = 0xc9;
  target[position + 5] = type;
  position += 6;
  return at;
}

function closeExtension(at: number): void {
  view.setUint32(start + at + 1, position - start - at - 6);
}

function writeMap(map: Map<unknown, unknown>, depth: number): void {
  const at = openExtension(EXT_MAP);
  writeCount(map.size * 2, 0x90, 0xdc);
  for (const [key, entry] of map) {
    write(key, depth + 1);
    write(entry, depth + 1);
  }
  closeExtension(at);
}

function writeSet(set: Set<unknown>, depth: number): void {
  const at = openExtension(EXT_SET);
  writeCount(set.size, 0x90, 0xdc);
  for (const entry of set) write(entry, depth + 1);
  closeExtension(at);
}

function writeError(error: Error, depth: number): void {
  const at = openExtension(EXT_ERROR);
  const { name, message, stack } = error;
  const fields: Record<string, unknown> = {
    ...error,
    name: String(name),
    message: String(message),
    stack: String(stack),
  };
  if (Object.hasOwn(error, 'cause')) fields.cause = error.cause;
  writeProperties(fields, depth);
  closeExtension(at);
}

function writeDate(date: Date): void {
  const ms = date.getTime();
  if (Number.isNaN(ms)) return writeExtensionHeader(EXT_INVALID_DATE, 0);
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - seconds * 1000) * 1_000_000;
  if (seconds >= 0 && seconds < 2 ** 34) {
    target[position] = 0xd7;
    target[position + 1] = EXT_TIMESTAMP;
    view.setUint32(position + 2, nanoseconds * 4 + Math.floor(seconds / 2 ** 32));
    view.setUint32(position + 6, seconds >>> 0);
    position += 10;
  } else {
    writeExtensionHeader(EXT_TIMESTAMP, 12);
    view.setUint32(position, nanoseconds);
    view.setInt32(position + 4, Math.floor(seconds / 2 ** 32));
    view.setUint32(position + 8, seconds >>> 0);
    position += 12;
  }
}

/** Two's complement, big-endian, in whole 64-bit words. */
function writeBigInt(value: bigint): void {
  const negative = value < 0n;
  const magnitude = (negative ? ~value : value).toString(16);
  // One bit more than the magnitude, for the sign.
  const words = Math.floor((magnitude.length * 4) / 64) + 1;
  const hex = BigInt.asUintN(words * 64, value)
    .toString(16)
    .padStart(words * 16, '0');
  writeExtensionHeader(EXT_BIGINT, words * 8);
  position += target.write(hex, position, words * 8, 'hex');
}

function writeView(value: ArrayBufferView): void {
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (!Buffer.isBuffer(value)) {
    const kind = BINARY_KINDS.findIndex((type) => Object.prototype.toString.call(value) === `[object ${type.name}]`);
    if (kind === -1) throw cannotSend(`a ${value.constructor.name}`);
    return writeBytes(EXT_BINARY, kind, bytes);
  }
  const { length } = bytes;
  reserve(length + 8);
  if (length < 0x100) {
    target[position++] = 0xc4;
    target[position++] = length;
  } else if (length < 0x10000) {
    target[position++] = 0xc5;
    view.setUint16(position, length);
    position += 2;
  } else {
    target[position++] = 0xc6;
    view.setUint32(position, length);
    position += 4;
  }
  target.set(bytes, position);
  position += length;
}

/** @param kind a first byte before the payload; -1 for none. */
function writeBytes(type: number, kind: number, bytes: Uint8Array): void {
  const prefix = kind === -1 ? 0 : 1;
  writeExtensionHeader(type, bytes.length + prefix);
  if (prefix === 1) target[position++] = kind;
  target.set(bytes, position);
  position += bytes.length;
}
