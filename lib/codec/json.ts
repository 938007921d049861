/** The codec `json`: as JSON.stringify, except that what that would drop or change is refused. Dates and Buffers become what JSON makes of them. */
import { types } from 'node:util';
import { SerializationError } from '../errors';
import { parseJson, stringifyJson, Verbatim } from '../util/json-text';
import { nothingToSend, pathStep, pathText, Refusal, refusalText, refuseProperties } from './refusals';

/** An object that is being written, and the key of it that is. */
interface Place {
  readonly holder: unknown;
  key: string;
}

/** @throws SerializationError with the path to what JSON cannot hold */
export function encodeJson(value: unknown): Uint8Array {
  // JSON.stringify goes down into one place after another; the first holder is an object of its own around the item.
  const places: Place[] = [];
  const text = stringifyJson(value, function (key, entry) {
    while (places.length > 0 && places[places.length - 1]!.holder !== this) places.pop();
    if (places.length === 0) places.push({ holder: this, key });
    else places[places.length - 1]!.key = key;
    const what = Array.isArray(this) && !Object.hasOwn(this, key) ? 'a hole' : refusedByJson(entry);
    if (what !== undefined) throw new SerializationError(`The codec 'json': ${refusalText(pathOf(places), what)}`);
    if (typeof entry === 'number')
      return isExact(entry) ? entry : new Verbatim(`${entry === 0 ? '-0' : BigInt(entry)}.0`);
    if (typeof entry === 'object' && entry !== null) places.push({ holder: entry, key: '' });
    return entry;
  });
  return Buffer.from(text as string);
}

/** Whether its digits alone tell what it is; without a point, readers would take the others for integers, or -0 for 0. */
const isExact = (number: number): boolean =>
  !Number.isInteger(number) || (Number.isSafeInteger(number) && !Object.is(number, -0)) || Math.abs(number) >= 1e21;

const pathOf = (places: readonly Place[]): string =>
  pathText(
    places
      .slice(1)
      .map(({ holder, key }) => pathStep(Array.isArray(holder) ? Number(key) : key))
      .join(''),
  );

function refusedByJson(value: unknown): string | undefined {
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'number':
      return Number.isFinite(value) ? undefined : String(value);
    case 'bigint':
      return `the BigInt ${value}n`;
    case 'function':
    case 'symbol':
      return `a ${typeof value}`;
    case 'object':
      return value === null ? undefined : refusedObject(value);
    default:
      return undefined;
  }
}

function refusedObject(value: object): string | undefined {
  if (types.isMap(value)) return 'a Map';
  if (types.isSet(value)) return 'a Set';
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return 'binary data';
  if (types.isNativeError(value)) return 'an Error (send its fields)';
  try {
    if (Array.isArray(value)) refuseProperties(value, value.length);
    else if (types.isBoxedPrimitive(value))
      refuseProperties(value, types.isStringObject(value) ? String(value).length : 0);
  } catch (error) {
    if (error instanceof Refusal) return error.what;
    throw error;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) return undefined;
  return nothingToSend(value);
}

/** Integers beyond ±(2^53 - 1) arrive as BigInt. @throws SyntaxError, RangeError */
export function decodeJson(bytes: Uint8Array): unknown {
  return parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}
