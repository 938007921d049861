/** What no codec may send, because it could only arrive as something else, and how an error says where in the item it lies. */
import { inspect, types } from 'node:util';
import { SerializationError } from '../errors';
import { trueEntriesOf, trueValuesOf } from '../util/built-ins';

/** Thrown on the way down and turned into a SerializationError at the top, where the item is known. */
export class Refusal {
  constructor(
    /** As in "…, which cannot be sent". */
    readonly what: string,
    /** What was met, to be found again in the item. */
    readonly culprit?: unknown,
    /** A step from the culprit to what is wrong, as `[1]`. */
    readonly step = '',
  ) {}
}

/** Says where in `item` the refused value lies, unless only a getter or a toJSON of the item's shows it. */
export function refusalError(item: unknown, { what, culprit, step }: Refusal): SerializationError {
  const path = culprit === undefined && step === '' ? undefined : pathTo(item, culprit);
  return new SerializationError(
    path === undefined
      ? `The item, or something in it, is ${what}, which cannot be sent. The queue is unchanged.`
      : refusalText(`${path}${step}`, what),
  );
}

/** @param path empty for the item itself */
export const refusalText = (path: string, what: string): string =>
  `The item ${path === '' ? 'is' : `has at ${path}`} ${what}, which cannot be sent. The queue is unchanged.`;

/** Of a view that shows nothing any more. */
export const cutOff = (what: string): string => `${what} whose memory was transferred away, or became too short for it`;

const LONGEST_PATH = 200;

/** `a.b[2]`; an entry of a Map or Set by its number, as `<value 0>`. */
export function pathStep(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** Without the dot that a path's first name would have. */
export const pathText = (path: string): string => {
  const text = path.startsWith('.') ? path.slice(1) : path;
  return text.length > LONGEST_PATH ? `${text.slice(0, LONGEST_PATH)}…` : text;
};

/** By identity, and without running a getter of the item's again. Undefined where that does not lead there. */
function pathTo(item: unknown, culprit: unknown): string | undefined {
  const seen = new Set<unknown>();
  const search = (value: unknown): string | undefined => {
    if (Object.is(value, culprit)) return '';
    if (typeof value !== 'object' || value === null || seen.has(value)) return undefined;
    seen.add(value);
    for (const [step, entry] of entriesOf(value)) {
      const rest = search(entry);
      if (rest !== undefined) return `${step}${rest}`;
    }
    return undefined;
  };
  try {
    const path = search(item);
    return path === undefined ? undefined : pathText(path);
  } catch {
    // A proxy's trap, or deeper than the stack.
    return undefined;
  }
}

function* entriesOf(value: object): Generator<[string, unknown]> {
  if (types.isMap(value)) {
    let index = 0;
    for (const [key, entry] of trueEntriesOf(value)) {
      yield [`<key ${index}>`, key];
      yield [`<value ${index++}>`, entry];
    }
  } else if (types.isSet(value)) {
    let index = 0;
    for (const entry of trueValuesOf(value)) yield [`<entry ${index++}>`, entry];
  } else if (!ArrayBuffer.isView(value)) {
    const list = Array.isArray(value);
    const keys = types.isNativeError(value) ? Object.getOwnPropertyNames(value) : Object.keys(value);
    for (const key of keys) {
      const property = Object.getOwnPropertyDescriptor(value, key);
      if (property !== undefined && 'value' in property)
        yield [pathStep(list && /^\d+$/.test(key) ? Number(key) : key), property.value];
    }
  }
}

/** Up to here it takes less to list the keys than to ask for those that are no indices. */
const FEW_ELEMENTS = 64;

/**
 * @throws Refusal where a list, Map, Set, Date, … has own properties beside its contents, which are all that would arrive
 * @param elements how many of its keys are indices of what it holds
 */
export function refuseProperties(value: object, elements: number): void {
  if (elements <= FEW_ELEMENTS) {
    const keys = Object.keys(value);
    if (keys.length > elements) throw propertyRefusal(value, keys.find((key) => !isIndex(key, elements)) as string);
  } else if (hasNamedProperties(value)) {
    throw propertyRefusal(value, Object.keys(value).find((key) => !isIndex(key, elements)) ?? '');
  }
}

/** From so many on, and up to so many, it takes less to list the values of an array than its keys, each index as a text of its own. */
const SOME_ELEMENTS = 8;
const MANY_ELEMENTS = 256;

/**
 * What an array holds, where that is all that would arrive. Each element is read once: here, or by the caller from the array itself,
 * whose holes are for the caller to refuse.
 * @throws Refusal
 */
export function elementsOf(array: readonly unknown[]): readonly unknown[] {
  const { length } = array;
  if (length >= SOME_ELEMENTS && length <= MANY_ELEMENTS) {
    const elements = Object.values(array);
    // A property for each hole would make as many.
    if (elements.length === length && hasNoHoles(array)) return elements;
  }
  refuseProperties(array, length);
  return array;
}

function hasNoHoles(array: readonly unknown[]): boolean {
  for (let i = 0; i < array.length; i++) if (!Object.hasOwn(array, i)) return false;
  return true;
}

const isIndex = (key: string, elements: number): boolean => String(Number(key) >>> 0) === key && Number(key) < elements;

/** Node shows them as `name: value`, and asks V8 for them without listing the elements; no text of an element is among what it shows here. */
const hasNamedProperties = (value: object): boolean => {
  const shown = inspect(value, { maxArrayLength: 0, maxStringLength: 0, depth: 0, customInspect: false });
  return shown.includes(':') && Object.keys(value).some((key) => !/^\d+$/.test(key));
};

function propertyRefusal(value: object, key: string): Refusal {
  const kind = Array.isArray(value) ? 'an array' : `a ${Object.prototype.toString.call(value).slice(8, -1)}`;
  return new Refusal(
    `${kind} with a property of its own (${JSON.stringify(key)}), and only its contents would arrive`,
    value,
  );
}

/** Objects whose substance is not in their properties: sending those would be a silent loss. */
export function nothingToSend(value: object): string | undefined {
  if (types.isPromise(value)) return 'a Promise (await it first)';
  if (types.isRegExp(value)) return 'a RegExp (send its source and flags)';
  if (types.isWeakMap(value) || types.isWeakSet(value) || isWeakRef(value)) return 'a weak reference';
  if (types.isSharedArrayBuffer(value)) return 'a SharedArrayBuffer';
  if (types.isGeneratorObject(value) || types.isMapIterator(value) || types.isSetIterator(value)) return 'an iterator';
  if (isHollow(value)) return `${nameOf(value)} without properties of its own`;
  if (types.isProxy(value) && 'BYTES_PER_ELEMENT' in value) return `a proxy of ${nameOf(value)}`;
  return undefined;
}

const isWeakRef = (value: object): boolean => Object.prototype.toString.call(value) === '[object WeakRef]';

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
