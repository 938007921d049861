/** Turns the nodes of a read pickle into the natural JavaScript values; what has none stays a node. */
import {
  PickleError,
  PyByteArray,
  PyDict,
  PyException,
  PyFloat,
  PyGlobal,
  PyList,
  PyObject,
  PySet,
  PyTuple,
} from './types';
import { asFrozenSet, asTuple, type TypedArray } from './types';
import { bytesOf, ELEMENT_TYPES, fromNumpy, typedArray } from './numpy';
import { DEFAULT_LIMITS } from './limits';
import type { ReadLimits } from './limits';
import { parsePickle } from './read';

const BUILTIN_EXCEPTIONS = new Set([
  'KeyboardInterrupt',
  'SystemExit',
  'StopIteration',
  'StopAsyncIteration',
  'GeneratorExit',
]);
const EXCEPTION_MODULES = new Set(['ray.exceptions', 'ray.util.queue', 'asyncio.queues', 'queue', '_queue']);
const EXCEPTION_NAME =
  /(?:Error|Exception|Warning|Interrupt|Exit)$|^(?:Empty|Full|QueueEmpty|QueueFull|QueueShutDown|ShutDown)$/;

function isException(global: PyGlobal): boolean {
  const name = global.name.slice(global.name.lastIndexOf('.') + 1);
  if (global.module === 'builtins' && BUILTIN_EXCEPTIONS.has(name)) return true;
  return (
    EXCEPTION_NAME.test(name) ||
    (EXCEPTION_MODULES.has(global.module) && /^[A-Z]/.test(name) && global.module === 'ray.exceptions')
  );
}

/** `array.array`'s machine formats (CPython's arraymodule.c, little-endian ones) to NumPy's codes. */
const ARRAY_FORMATS: { readonly [format: number]: string } = {
  0: 'u1', 1: 'i1', 2: 'u2', 4: 'i2', 6: 'u4', 8: 'i4', 10: 'u8', 12: 'i8', 14: 'f4', 16: 'f8',
}; // prettier-ignore

/** The type codes whose size does not depend on the machine; protocol 2 writes those, and the items as a list. */
const ARRAY_TYPECODES = new Map([['b', 'i1'], ['B', 'u1'], ['h', 'i2'], ['H', 'u2'], ['i', 'i4'], ['I', 'u4'], ['q', 'i8'], ['Q', 'u8'], ['f', 'f4'], ['d', 'f8']]); // prettier-ignore

function fromItems(code: string, items: readonly unknown[]): TypedArray | undefined {
  const type = ELEMENT_TYPES.get(code)!;
  const big = type.numberBytes === 8 && code[0] !== 'f';
  const numbers = items.map((item) => (item instanceof PyFloat ? item.value : item));
  if (!numbers.every((item) => typeof item === 'number' || (big && typeof item === 'bigint'))) return undefined;
  if (big && !numbers.every((item) => typeof item === 'bigint' || Number.isInteger(item))) return undefined;
  const array = type.make(new ArrayBuffer(numbers.length * type.numberBytes));
  numbers.forEach((item, at) => ((array as unknown as unknown[])[at] = big ? BigInt(item as number) : item));
  return array;
}

/** Minutes east of UTC of a `datetime.timezone`, undefined when it is another kind of zone. */
function offsetMs(zone: unknown): number | undefined {
  if (zone === undefined || zone === null) return 0;
  if (!(zone instanceof PyObject) || zone.path !== 'datetime.timezone') return undefined;
  const delta = zone.arguments[0];
  if (!(delta instanceof PyObject) || delta.path !== 'datetime.timedelta') return undefined;
  const [days, seconds, microseconds] = delta.arguments;
  if (typeof days !== 'number' || typeof seconds !== 'number' || typeof microseconds !== 'number') return undefined;
  return days * 86_400_000 + seconds * 1000 + microseconds / 1000;
}

/** Source: CPython's `datetime.__reduce_ex__`: year (2 bytes), month (the top bit is `fold`), day, hour, minute, second, microsecond (3). */
function dateTime(node: PyObject): Date | undefined {
  const raw = bytesOf(node.arguments[0]);
  const zone = node.arguments[1];
  if (raw === undefined || raw.length !== 10) return undefined;
  const offset = offsetMs(zone);
  if (offset === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(raw.readUInt16BE(0), (raw[2]! & 0x7f) - 1, raw[3]!);
  date.setUTCHours(raw[4]!, raw[5]!, raw[6]!, Math.trunc(raw.readUIntBE(7, 3) / 1000));
  return new Date(date.getTime() - offset);
}

class Converter {
  private readonly done = new Map<object, unknown>();
  private depth = 0;

  constructor(private readonly maxDepth: number) {}

  convert(node: unknown): unknown {
    if (typeof node !== 'object' || node === null || Buffer.isBuffer(node)) return node;
    if (node instanceof PyFloat) return node.value;
    const known = this.done.get(node);
    if (known !== undefined) return known;
    if (++this.depth > this.maxDepth) throw new PickleError(`The value is nested deeper than ${this.maxDepth} levels.`);
    const value = this.container(node);
    this.depth--;
    this.done.set(node, value);
    return value;
  }

  private items(nodes: readonly unknown[], target: unknown[]): unknown[] {
    for (const node of nodes) target.push(this.convert(node));
    return target;
  }

  private container(node: object): unknown {
    if (node instanceof PyList) {
      const list: unknown[] = [];
      this.done.set(node, list);
      return this.items(node.items, list);
    }
    if (node instanceof PyTuple) return asTuple(this.items(node.items, []));
    if (node instanceof PyDict) return this.dict(node, node.entries);
    if (node instanceof PySet) {
      const set = new Set<unknown>();
      this.done.set(node, set);
      for (const item of node.items) set.add(this.convert(item));
      return node.frozen ? asFrozenSet(set) : set;
    }
    if (node instanceof PyByteArray) return node.bytes;
    if (node instanceof PyObject) return this.instance(node) ?? node;
    return node;
  }

  /** A dict whose keys are all strings is an object, any other a Map. `__proto__` is a key like any other. */
  private dict(node: object, entries: readonly [unknown, unknown][]): unknown {
    if (entries.every(([key]) => typeof key === 'string')) {
      const object: Record<string, unknown> = {};
      this.done.set(node, object);
      for (const [key, item] of entries as [string, unknown][]) {
        const value = this.convert(item);
        if (key !== '__proto__') object[key] = value;
        else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      }
      return object;
    }
    const map = new Map<unknown, unknown>();
    this.done.set(node, map);
    for (const [key, value] of entries) map.set(this.convert(key), this.convert(value));
    return map;
  }

  /** Undefined: not known here, or not of the form expected, so that it stays opaque. */
  private instance(node: PyObject): unknown {
    if (!(node.callable instanceof PyGlobal)) return undefined;
    const args = node.arguments;
    const appended = (): unknown[] => node.steps.flatMap((step) => (step.kind === 'append' ? step.items : []));
    const set = (): [unknown, unknown][] => node.steps.flatMap((step) => (step.kind === 'set' ? step.entries : []));
    switch (node.path) {
      case 'builtins.set':
      case 'builtins.frozenset':
      case 'builtins.list':
      case 'builtins.tuple':
        if (args.length > 1 || (args.length === 1 && !(args[0] instanceof PyList))) return undefined;
        return this.container(this.rebuilt(node.path, args[0] as PyList | undefined));
      case 'collections.deque': {
        if (args.length > 0 && !(args[0] instanceof PyList || args[0] instanceof PyTuple)) return undefined;
        const first = args[0] as PyList | PyTuple | undefined;
        return this.items([...(first?.items ?? []), ...appended()], []);
      }
      case 'collections.OrderedDict':
        return args.length === 0 ? this.dict(node, set()) : undefined;
      case 'collections.defaultdict':
        return args.length <= 1 ? this.dict(node, set()) : undefined;
      case 'collections.Counter':
        return args[0] instanceof PyDict ? this.dict(node, args[0].entries) : undefined;
      case 'builtins.bytes':
      case 'builtins.bytearray':
        return args.length === 0 ? Buffer.alloc(0) : bytesOf(args[0]);
      case '_codecs.encode':
        return bytesOf(node);
      case 'datetime.datetime':
        return dateTime(node);
      case 'array.array': {
        const code = typeof args[0] === 'string' ? ARRAY_TYPECODES.get(args[0]) : undefined;
        return code !== undefined && args[1] instanceof PyList ? fromItems(code, args[1].items) : undefined;
      }
      case 'array._array_reconstructor': {
        const code = typeof args[2] === 'number' ? ARRAY_FORMATS[args[2]] : undefined;
        const bytes = bytesOf(args[3]);
        return code !== undefined && bytes ? typedArray(ELEMENT_TYPES.get(code)!, false, bytes) : undefined;
      }
    }
    if (node.callable.module.startsWith('numpy')) return fromNumpy(node);
    if (node.steps.every((step) => step.kind === 'state') && isException(node.callable)) return this.exception(node);
    return undefined;
  }

  private rebuilt(path: string, list: PyList | undefined): object {
    const items = list?.items ?? [];
    if (path === 'builtins.set' || path === 'builtins.frozenset')
      return new PySet(items, path === 'builtins.frozenset');
    return path === 'builtins.list' ? new PyList(items) : new PyTuple(items);
  }

  private exception(node: PyObject): PyException {
    const attributes = this.attributes(node);
    return new PyException(node, node.path, this.items(node.arguments, []), attributes);
  }

  /** The fields of an instance: its `__dict__`, its slots, or what a state of another form holds under `state`. */
  attributes(node: PyObject): Record<string, unknown> {
    const fields: Record<string, unknown> = Object.create(null);
    const merge = (state: unknown): void => {
      if (!(state instanceof PyDict)) return;
      for (const [key, value] of state.entries) if (typeof key === 'string') fields[key] = this.convert(value);
    };
    for (const step of node.steps) {
      if (step.kind !== 'state') continue;
      if (step.state instanceof PyTuple && step.state.items.length === 2) step.state.items.forEach(merge);
      else if (step.state instanceof PyDict) merge(step.state);
      else fields.state = this.convert(step.state);
    }
    return fields;
  }
}

/** @throws PickleError when the value is nested too deep. */
export function convertNode(node: unknown, limits: ReadLimits = {}): unknown {
  return new Converter(limits.maxDepth ?? DEFAULT_LIMITS.maxDepth).convert(node);
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Text of a number of 128 bits, as UUIDs are written. */
function uuidText(value: unknown): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const hex = BigInt(value).toString(16).padStart(32, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Source: CPython's `date.__reduce__` (4 bytes) and `time.__reduce__` (6 bytes, and a zone). */
function dateText(raw: Buffer | undefined): string | undefined {
  return raw?.length === 4
    ? `${String(raw.readUInt16BE(0)).padStart(4, '0')}-${two(raw[2]!)}-${two(raw[3]!)}`
    : undefined;
}

function timeText(raw: Buffer | undefined): string | undefined {
  if (raw?.length !== 6) return undefined;
  const micros = raw.readUIntBE(3, 3);
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`;
  return `${two(raw[0]! & 0x7f)}:${two(raw[1]!)}:${two(raw[2]!)}${fraction}`;
}

/**
 * The plain value of an opaque instance whose meaning is known; undefined for any other. `Decimal`: its digits as a string. `UUID`: its
 * text. `date`, `time`: ISO 8601. `timedelta`: milliseconds. `complex`: `[real, imaginary]`. A member of an enum: its value, or its name
 * where that is what Python wrote. A dataclass and other instances: `plainAttributes`.
 *
 * The instance itself stays what it is: put again, it arrives in Python unchanged.
 */
export function plainValue(object: PyObject): unknown {
  const args = object.arguments;
  switch (object.path) {
    case 'decimal.Decimal':
      return typeof args[0] === 'string' ? args[0] : undefined;
    case 'uuid.UUID':
      return uuidText(plainAttributes(object).int);
    case 'datetime.date':
      return dateText(bytesOf(args[0]));
    case 'datetime.time':
      return args.length === 1 ? timeText(bytesOf(args[0])) : undefined;
    case 'datetime.timedelta': {
      const [days, seconds, micros] = args as number[];
      return args.length === 3 ? days! * 86_400_000 + seconds! * 1000 + micros! / 1000 : undefined;
    }
    case 'builtins.complex':
      return args.map((part) => convertNode(part));
    case 'builtins.getattr':
      return args[0] instanceof PyGlobal && typeof args[1] === 'string' ? args[1] : undefined;
  }
  // `Color(2)`: an enum's members are written as a call with their value.
  const isMember = object.construction === 'reduce' && object.callable instanceof PyGlobal && object.steps.length === 0;
  return isMember && args.length === 1 && !/^(?:builtins|numpy|copyreg)\b/.test(object.path)
    ? convertNode(args[0])
    : undefined;
}

/** The fields of an opaque instance as JavaScript values, in an object without a prototype. */
export function plainAttributes(object: PyObject, limits: ReadLimits = {}): Record<string, unknown> {
  return new Converter(limits.maxDepth ?? DEFAULT_LIMITS.maxDepth).attributes(object);
}

/**
 * Reads a pickle into the natural JavaScript values (the table is in docs/ray.md). Never executes anything.
 * @throws PickleError on malformed text and on what exceeds a limit.
 */
export function readPickle(bytes: Uint8Array, limits: ReadLimits = {}): unknown {
  return convertNode(parsePickle(bytes, limits), limits);
}
