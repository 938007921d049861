/**
 * JavaScript values to MessagePack, in one pass.
 *
 * Own code rather than a library because an item must arrive as it was sent or be refused: functions and symbols at any depth,
 * cycles, Maps beside objects, -0, keys named `__proto__` and registrations made elsewhere in the process all matter here.
 */
import { types } from 'node:util';
import { isDescriptor } from '../../descriptor/descriptor';
import { ItemTooLargeError, SerializationError } from '../../errors';
import { elementsOf, nothingToSend, Refusal, refusalError, refuseProperties } from '../refusals';
import { errorFields } from './error-fields';
import { primitiveOf, trueEntriesOf, trueSizeOf, trueValuesOf } from '../../util/built-ins';
import { EXT_BINARY, EXT_DESCRIPTOR, EXT_ERROR, EXT_MAP, EXT_SET, MAX_DEPTH } from './extensions';
import { closeExtension, MARGIN, openExtension, out, passOn, reserve, rewind, use, writeCount } from './output';
import type { Target } from './output';
import { writeBigInt, writeBytes, writeDate, writeNumber, writeString, writeView } from './scalars';
import { DEEPEST_SHAPE, MOST_KEYS, ShapeTable, slotOf } from './shapes';
import { shapeWriter } from './write-shapes';
import type { ShapeWriter } from './write-shapes';
import { findKey, keepKey, LONGEST_KEPT } from './written-keys';

/** Below this depth nothing is remembered; beyond it, what is being written is, so that a cycle shows soon. */
const WATCHED_DEPTH = 64;

let encoding = false;
const ancestors: object[] = [];

/** Where an encoded value lies. The bytes are good until the next value is encoded. */
export interface Span {
  buffer: Buffer;
  start: number;
  end: number;
}

const span: Span = { buffer: out.bytes, start: 0, end: 0 };

/** For callers that copy the bytes away at once: the buffer is reused. Another format than MessagePack has its own `write`. @throws SerializationError, ItemTooLargeError */
export function encodeToSpan(value: unknown, write = writeValue): Span {
  if (encoding) {
    const bytes = encodeNested(value, write);
    return { buffer: bytes, start: 0, end: bytes.length };
  }
  run(value, write);
  spanWritten();
  rewind();
  return span;
}

function spanWritten(): Span {
  span.buffer = out.bytes;
  span.start = out.start;
  span.end = out.position;
  return span;
}

/**
 * The same, straight into memory of the caller's, from `at` on, while nothing else is encoded; what does not fit into it lies elsewhere.
 * @throws SerializationError, ItemTooLargeError
 */
export function encodeInto(target: Target, at: number, value: unknown, write = writeValue): Span {
  if (encoding) return encodeToSpan(value, write);
  const { bytes, view, start, limit } = out;
  out.bytes = target.bytes;
  out.view = target.view;
  out.start = at;
  out.limit = target.bytes.length - MARGIN;
  try {
    run(value, write);
    return spanWritten();
  } finally {
    out.bytes = bytes;
    out.view = view;
    out.start = out.position = start;
    out.limit = limit;
  }
}

/** The bytes are the caller's to keep. @throws SerializationError, ItemTooLargeError */
export function encodeMessagePack(value: unknown, write = writeValue): Buffer {
  if (encoding) return encodeNested(value, write);
  run(value, write);
  const bytes = out.bytes.subarray(out.start, out.position);
  passOn();
  return bytes;
}

/** An encode called from a getter or toJSON of a value that is being encoded. */
function encodeNested(value: unknown, write: typeof writeValue): Buffer {
  const { bytes, start, position } = out;
  const outerAncestors = ancestors.splice(0);
  use();
  try {
    run(value, write);
    return out.bytes.subarray(out.start, out.position);
  } finally {
    use(bytes, start);
    out.position = position;
    ancestors.push(...outerAncestors);
    encoding = true;
  }
}

/** The value at the output's position, where other formats have a MessagePack value in theirs. @throws Refusal */
export function writeValue(value: unknown): void {
  write(value, 0);
}

function run(value: unknown, writeItem: typeof writeValue): void {
  out.position = out.start;
  encoding = true;
  try {
    writeItem(value);
  } catch (error) {
    out.position = out.start;
    ancestors.length = 0;
    if (error instanceof Refusal) throw refusalError(value, error);
    if (error instanceof SerializationError || error instanceof ItemTooLargeError) throw error;
    throw new SerializationError(`The item cannot be encoded: ${(error as Error)?.message ?? error}.`, {
      cause: error,
    });
  } finally {
    encoding = false;
  }
}

function write(value: unknown, depth: number): void {
  if (out.position > out.limit) reserve(MARGIN);
  if (typeof value === 'string') writeString(value);
  else if (typeof value === 'number') writeNumber(value);
  else if (value === null) out.bytes[out.position++] = 0xc0;
  else if (typeof value === 'object') writeObject(value, depth);
  else if (typeof value === 'boolean') out.bytes[out.position++] = value ? 0xc3 : 0xc2;
  else writeRest(value);
}

function writeRest(value: unknown): void {
  if (value === undefined) {
    out.bytes[out.position++] = 0xd4;
    out.bytes[out.position++] = 0;
    out.bytes[out.position++] = 0;
  } else if (typeof value === 'bigint') {
    writeBigInt(value);
  } else {
    throw new Refusal(`a ${typeof value}`, value);
  }
}

function writeObject(value: object, depth: number): void {
  if (depth >= WATCHED_DEPTH) watch(value, depth);
  if (Array.isArray(value)) {
    writeArray(value, depth);
  } else if (!writers.isUsed && Object.getPrototypeOf(value) === Object.prototype) {
    // Most objects; where there are functions, theirs look at the prototype.
    writeProperties(value, Object.keys(value), -1, depth);
  } else if (ArrayBuffer.isView(value)) {
    // Before its keys are asked for, which are one for each element.
    writeView(value);
  } else {
    const keys = Object.keys(value);
    const slot = slotOfKeys(keys, depth);
    if (!writeShaped(value, keys, slot, depth, true)) {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype === Object.prototype || prototype === null) writeProperties(value, keys, slot, depth);
      else writeInstance(value, keys, slot, depth);
    }
  }
  if (depth >= WATCHED_DEPTH) ancestors.pop();
}

function writeArray(array: readonly unknown[], depth: number): void {
  const { length } = array;
  const elements = elementsOf(array);
  writeCount(length, 0x90, 0xdc);
  for (let i = 0; i < length; i++) {
    const entry = elements[i];
    if (entry === undefined && !Object.hasOwn(array, i)) throw new Refusal('a hole', array, `[${i}]`);
    write(entry, depth + 1);
  }
}

function watch(value: object, depth: number): void {
  if (ancestors.includes(value)) throw new Refusal('a value that contains itself', value);
  if (depth >= MAX_DEPTH) throw new Refusal(`nested deeper than ${MAX_DEPTH} levels`);
  ancestors.push(value);
}

const writers = new ShapeTable<ShapeWriter>(({ keys }) => shapeWriter(keys, write));

/** Where the function for objects of these keys would be. -1: they have none. */
function slotOfKeys(keys: readonly string[], depth: number): number {
  const { length } = keys;
  if (length === 0 || length > MOST_KEYS || depth >= DEEPEST_SHAPE || !writers.isUsed) return -1;
  const [first, middle, last] = [keys[0] as string, keys[length >> 1] as string, keys[length - 1] as string];
  return slotOf(
    (length << 4) ^ first.length ^ (last.length << 2),
    first.charCodeAt(first.length >> 1),
    middle.charCodeAt(middle.length >> 1),
    last.charCodeAt(last.length >> 1),
  );
}

/** By the function made for objects of its keys. Returns false where there is none, or where the object is not `plain` as it has to be. */
function writeShaped(value: object, keys: readonly string[], slot: number, depth: number, plain: boolean): boolean {
  if (slot === -1) return false;
  const shape = writers.shapes[slot];
  if (shape?.made === undefined || !shape.made(value, keys, depth + 1, plain)) return false;
  shape.misses = 0;
  return true;
}

function writeProperties(value: object, keys: readonly string[], slot: number, depth: number): void {
  const { length } = keys;
  if (slot !== -1 && writers.wants(slot)) writers.met(slot, keys);
  writeCount(length, 0x80, 0xde);
  for (let i = 0; i < length; i++) {
    const key = keys[i] as string;
    writeKey(key, ((length & 15) << 4) | (i & 15));
    write((value as Record<string, unknown>)[key], depth + 1);
  }
}

function writeKey(key: string, slot: number): void {
  const written = findKey(key, slot);
  if (written === undefined) return writeNewKey(key);
  if (out.position > out.limit) reserve(MARGIN);
  const { words } = written;
  // What is too much is overwritten by what follows.
  for (let i = 0, at = out.position; i < words.length; i++, at += 4) out.view.setUint32(at, words[i] as number);
  out.position += written.bytes;
}

function writeNewKey(key: string): void {
  const from = out.position - out.start;
  writeString(key);
  if (out.position - out.start - from <= LONGEST_KEPT) keepKey(key, out.bytes.subarray(out.start + from, out.position));
}

function writeInstance(value: object, keys: readonly string[], slot: number, depth: number): void {
  if (types.isMap(value)) return writeMap(value, depth);
  if (types.isSet(value)) return writeSet(value, depth);
  if (types.isNativeError(value)) return writeError(value, depth);
  if (isDescriptor(value)) return writeBytes(EXT_DESCRIPTOR, -1, Buffer.from(JSON.stringify(value)));
  if (types.isDate(value) || types.isAnyArrayBuffer(value) || types.isBoxedPrimitive(value))
    return writeLeaf(value, depth);
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function')
    return write((value as { toJSON(): unknown }).toJSON(), depth + 1);
  const refused = nothingToSend(value);
  if (refused !== undefined) throw new Refusal(refused, value);
  // Instances go as their own properties; so do the plain objects of another realm (a vm context).
  if (!writeShaped(value, keys, slot, depth, false)) writeProperties(value, keys, slot, depth);
}

/** Built-in objects around one value. */
function writeLeaf(value: object, depth: number): void {
  if (types.isSharedArrayBuffer(value)) throw new Refusal('a SharedArrayBuffer', value);
  const primitive = types.isBoxedPrimitive(value) ? primitiveOf(value) : undefined;
  refuseProperties(value, typeof primitive === 'string' ? primitive.length : 0);
  if (types.isDate(value)) writeDate(value);
  else if (types.isArrayBuffer(value)) writeBytes(EXT_BINARY, 0, new Uint8Array(value));
  else write(primitive, depth + 1);
}

function writeMap(map: Map<unknown, unknown>, depth: number): void {
  refuseProperties(map, 0);
  const at = openExtension(EXT_MAP);
  const size = trueSizeOf(map);
  writeCount(size * 2, 0x90, 0xdc);
  let written = 0;
  for (const [key, entry] of trueEntriesOf(map)) {
    // What a getter in an entry adds comes too late, as behind the end of an array.
    if (written === size) break;
    write(key, depth + 1);
    write(entry, depth + 1);
    written++;
  }
  if (written < size) correctCount(at, size * 2, written * 2);
  closeExtension(at);
}

function writeSet(set: Set<unknown>, depth: number): void {
  refuseProperties(set, 0);
  const at = openExtension(EXT_SET);
  const size = trueSizeOf(set);
  writeCount(size, 0x90, 0xdc);
  let written = 0;
  for (const entry of trueValuesOf(set)) {
    if (written === size) break;
    write(entry, depth + 1);
    written++;
  }
  if (written < size) correctCount(at, size, written);
  closeExtension(at);
}

/** The list of the extension at `at` turned out shorter: a getter of an entry took others out. */
function correctCount(at: number, announced: number, written: number): void {
  const from = out.start + at + 6;
  const spare = listHeaderBytes(announced) - listHeaderBytes(written);
  const end = out.position - spare;
  out.bytes.copyWithin(from + listHeaderBytes(written), from + listHeaderBytes(announced), out.position);
  out.position = from;
  writeCount(written, 0x90, 0xdc);
  out.position = end;
}

const listHeaderBytes = (count: number): number => (count < 16 ? 1 : count < 0x10000 ? 3 : 5);

function writeError(error: Error, depth: number): void {
  const at = openExtension(EXT_ERROR);
  const fields = errorFields(error);
  writeProperties(fields, Object.keys(fields), -1, depth);
  closeExtension(at);
}
