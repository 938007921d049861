/**
 * What a value is, whichever realm (a vm context, a test runner's sandbox) it was made in: `instanceof` asks whose it is. And what it holds,
 * whatever its class or the program says of that.
 */
import { types } from 'node:util';

const { isUint8Array } = types;

/** A Uint8Array, Buffers included, and no proxy of one. Its class, or the program, may say something else of its `length`: trueLengthOf() does not ask them. Never throws. */
export const isBytes = (value: unknown): value is Uint8Array =>
  // The first two spare most values the third.
  ArrayBuffer.isView(value) && (value instanceof Uint8Array || isUint8Array(value));

const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const getter = (prototype: object, name: string): (() => unknown) =>
  Object.getOwnPropertyDescriptor(prototype, name)!.get!;
const placeGetters = (prototype: object): (() => unknown)[] =>
  ['buffer', 'byteOffset', 'byteLength'].map((name) => getter(prototype, name));

const get = getter(typedArrays, 'length');
const { at } = typedArrays;
const [bufferOfArray, offsetOfArray, bytesOfArray] = placeGetters(typedArrays);
const [bufferOfData, offsetOfData, bytesOfData] = placeGetters(DataView.prototype);

/** How many there are, whatever a class of the program's says of itself. */
export const trueLengthOf = (bytes: Uint8Array): number => get.call(bytes) as number;

/** Whether a typed array shows nothing because its memory was transferred away, or became too short for it. */
export function isCutOff(array: Uint8Array): boolean {
  if (get.call(array) !== 0) return false;
  try {
    at.call(array, 0);
    return false;
  } catch {
    return true;
  }
}

/** All that a view shows, whatever its class says of it. Undefined: it is cut off. */
export function trueBytesOf(view: ArrayBufferView): Uint8Array | undefined {
  if (types.isDataView(view)) {
    try {
      const length = bytesOfData!.call(view) as number; // which throws of one that is cut off
      return new Uint8Array(bufferOfData!.call(view) as ArrayBuffer, offsetOfData!.call(view) as number, length);
    } catch {
      return undefined;
    }
  }
  if (isCutOff(view as Uint8Array)) return undefined;
  const length = bytesOfArray!.call(view) as number;
  return new Uint8Array(bufferOfArray!.call(view) as ArrayBuffer, offsetOfArray!.call(view) as number, length);
}

const sizeOfMap = getter(Map.prototype, 'size');
const sizeOfSet = getter(Set.prototype, 'size');
const { entries } = Map.prototype;
const { values } = Set.prototype;

/** How many entries there are. */
export const trueSizeOf = (collection: Map<unknown, unknown> | Set<unknown>): number =>
  (types.isMap(collection) ? sizeOfMap : sizeOfSet).call(collection) as number;
export const trueEntriesOf = (map: Map<unknown, unknown>): IterableIterator<[unknown, unknown]> =>
  entries.call(map) as IterableIterator<[unknown, unknown]>;
export const trueValuesOf = (set: Set<unknown>): IterableIterator<unknown> => values.call(set);

const primitives: [is: (value: unknown) => boolean, valueOf: () => unknown][] = [
  [types.isNumberObject, Number.prototype.valueOf],
  [types.isStringObject, String.prototype.valueOf],
  [types.isBooleanObject, Boolean.prototype.valueOf],
  [types.isBigIntObject, BigInt.prototype.valueOf],
  [types.isSymbolObject, Symbol.prototype.valueOf],
];

/** What a Number, String, … object is around. */
export const primitiveOf = (boxed: object): unknown => primitives.find(([is]) => is(boxed))?.[1].call(boxed);
