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
import { asFrozenSet, asTuple, ndarray, type TypedArray } from './types';
import { DEFAULT_LIMITS, parsePickle, type ReadLimits } from './read';

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

/** One element type of NumPy's and of `array.array`. */
interface ElementType {
  readonly bytes: number;
  readonly make: (buffer: ArrayBuffer) => TypedArray;
}

const NUMPY_TYPES: { readonly [code: string]: ElementType } = {
  __proto__: null as never,
  i1: { bytes: 1, make: (buffer) => new Int8Array(buffer) },
  u1: { bytes: 1, make: (buffer) => new Uint8Array(buffer) },
  b1: { bytes: 1, make: (buffer) => new Uint8Array(buffer) },
  i2: { bytes: 2, make: (buffer) => new Int16Array(buffer) },
  u2: { bytes: 2, make: (buffer) => new Uint16Array(buffer) },
  i4: { bytes: 4, make: (buffer) => new Int32Array(buffer) },
  u4: { bytes: 4, make: (buffer) => new Uint32Array(buffer) },
  i8: { bytes: 8, make: (buffer) => new BigInt64Array(buffer) },
  u8: { bytes: 8, make: (buffer) => new BigUint64Array(buffer) },
  f4: { bytes: 4, make: (buffer) => new Float32Array(buffer) },
  f8: { bytes: 8, make: (buffer) => new Float64Array(buffer) },
};

/** `array.array`'s machine formats (CPython's arraymodule.c, little-endian ones) to NumPy's codes. */
const ARRAY_FORMATS: { readonly [format: number]: string } = {
  0: 'u1', 1: 'i1', 2: 'u2', 4: 'i2', 6: 'u4', 8: 'i4', 10: 'u8', 12: 'i8', 14: 'f4', 16: 'f8',
}; // prettier-ignore

/** The type codes whose size does not depend on the machine; protocol 2 writes those, and the items as a list. */
const ARRAY_TYPECODES = new Map([['b', 'i1'], ['B', 'u1'], ['h', 'i2'], ['H', 'u2'], ['i', 'i4'], ['I', 'u4'], ['q', 'i8'], ['Q', 'u8'], ['f', 'f4'], ['d', 'f8']]); // prettier-ignore

function fromItems(code: string, items: readonly unknown[]): TypedArray | undefined {
  const type = NUMPY_TYPES[code]!;
  const big = type.bytes === 8 && code[0] !== 'f';
  const numbers = items.map((item) => (item instanceof PyFloat ? item.value : item));
  if (!numbers.every((item) => typeof item === 'number' || (big && typeof item === 'bigint'))) return undefined;
  if (big && !numbers.every((item) => typeof item === 'bigint' || Number.isInteger(item))) return undefined;
  const array = type.make(new ArrayBuffer(numbers.length * type.bytes));
  numbers.forEach((item, at) => ((array as unknown as unknown[])[at] = big ? BigInt(item as number) : item));
  return array;
}

function bytesOf(value: unknown): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof PyByteArray) return value.bytes;
  // Protocol 2 has no bytes: it writes how to encode them from text.
  if (!(value instanceof PyObject) || value.path !== '_codecs.encode') return undefined;
  const [text, encoding] = value.arguments;
  return typeof text === 'string' && encoding === 'latin1' ? Buffer.from(text, 'latin1') : undefined;
}

function typedArray(code: string, swap: boolean, bytes: Buffer): TypedArray | undefined {
  const type = NUMPY_TYPES[code];
  if (type === undefined || bytes.length % type.bytes !== 0) return undefined;
  const copy = Buffer.from(new ArrayBuffer(bytes.length));
  bytes.copy(copy);
  if (swap && type.bytes === 2) copy.swap16();
  else if (swap && type.bytes === 4) copy.swap32();
  else if (swap && type.bytes === 8) copy.swap64();
  return type.make(copy.buffer as ArrayBuffer);
}

function numpyType(node: unknown): { code: string; swap: boolean } | undefined {
  if (!(node instanceof PyObject) || node.path !== 'numpy.dtype') return undefined;
  const code = node.arguments[0];
  const state = node.state;
  const order = state instanceof PyTuple ? state.items[1] : '|';
  return typeof code === 'string' ? { code, swap: order === '>' } : undefined;
}

function numpyShape(node: unknown): number[] | undefined {
  if (typeof node === 'number') return [node];
  if (!(node instanceof PyTuple) || node.items.length > 64) return undefined;
  return node.items.every((side) => typeof side === 'number' && side >= 0) ? (node.items as number[]) : undefined;
}

function shaped(dtype: unknown, shapeNode: unknown, data: unknown, fortran: unknown): unknown {
  const type = numpyType(dtype);
  const shape = numpyShape(shapeNode);
  const bytes = bytesOf(data);
  if (type === undefined || shape === undefined || bytes === undefined) return undefined;
  // Fortran order of more than one dimension would need a transposition: left opaque.
  if ((fortran === true || fortran === 'F') && shape.length > 1) return undefined;
  const array = typedArray(type.code, type.swap, bytes);
  if (array === undefined || shape.reduce((product, side) => product * side, 1) !== array.length) return undefined;
  return ndarray(array, shape);
}

/** NumPy arrays, as NumPy 1 and 2 write them: `_frombuffer` for contiguous ones, `_reconstruct` and a state for the rest. */
function numpyArray(node: PyObject): unknown {
  const args = node.arguments;
  if (/^numpy\.(?:_core|core)\.numeric\._frombuffer$/.test(node.path))
    return shaped(args[1], args[2], args[0], args[3]);
  if (/^numpy\.(?:_core|core)\.multiarray\._reconstruct$/.test(node.path) && node.state instanceof PyTuple) {
    const [, shape, dtype, fortran, data] = node.state.items;
    return shaped(dtype, shape, data, fortran);
  }
  if (/^numpy\.(?:_core|core)\.multiarray\.scalar$/.test(node.path)) {
    const type = numpyType(args[0]);
    const bytes = bytesOf(args[1]);
    const value = type && bytes ? typedArray(type.code, type.swap, bytes)?.[0] : undefined;
    if (value === undefined) return undefined;
    if (type!.code === 'b1') return value !== 0;
    const safe = typeof value === 'bigint' && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
    return safe ? Number(value) : value;
  }
  return undefined;
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
        return code !== undefined && bytes ? typedArray(code, false, bytes) : undefined;
      }
    }
    if (node.callable.module.startsWith('numpy')) return numpyArray(node);
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
