/** NumPy's arrays and scalars, and the elements that they share with `array.array`, as typed arrays. */
import { bytesIn } from './refusals';
import { ndarray, PyByteArray, PyObject, PyTuple, type TypedArray } from './types';

/** One element type: how its bytes become numbers of JavaScript. */
export interface ElementType {
  /** NumPy's name of it. */
  readonly name: string;
  /** Of one stored number; a complex element has two. */
  readonly numberBytes: number;
  readonly numbers: 1 | 2;
  readonly make: (buffer: ArrayBuffer) => TypedArray;
}

const type = (name: string, numberBytes: number, make: ElementType['make'], numbers: 1 | 2 = 1): ElementType => ({
  name,
  numberBytes,
  numbers,
  make,
});

/** By NumPy's code, without the byte order. */
export const ELEMENT_TYPES: ReadonlyMap<string, ElementType> = new Map([
  ['b1', type('bool', 1, (buffer) => new Uint8Array(buffer))],
  ['i1', type('int8', 1, (buffer) => new Int8Array(buffer))],
  ['u1', type('uint8', 1, (buffer) => new Uint8Array(buffer))],
  ['i2', type('int16', 2, (buffer) => new Int16Array(buffer))],
  ['u2', type('uint16', 2, (buffer) => new Uint16Array(buffer))],
  ['i4', type('int32', 4, (buffer) => new Int32Array(buffer))],
  ['u4', type('uint32', 4, (buffer) => new Uint32Array(buffer))],
  ['i8', type('int64', 8, (buffer) => new BigInt64Array(buffer))],
  ['u8', type('uint64', 8, (buffer) => new BigUint64Array(buffer))],
  ['f2', type('float16', 2, (buffer) => Float32Array.from(new Uint16Array(buffer), fromHalf))],
  ['f4', type('float32', 4, (buffer) => new Float32Array(buffer))],
  ['f8', type('float64', 8, (buffer) => new Float64Array(buffer))],
  ['c8', type('complex64', 4, (buffer) => new Float32Array(buffer), 2)],
  ['c16', type('complex128', 8, (buffer) => new Float64Array(buffer), 2)],
  ['M8', type('datetime64', 8, (buffer) => new BigInt64Array(buffer))],
  ['m8', type('timedelta64', 8, (buffer) => new BigInt64Array(buffer))],
]);

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** To the nearest, ties to even, as NumPy does. */
function toHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // Subnormal numbers and the smallest normal ones have the same step.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = roundToEven(size / 2 ** (exponent - 10));
  // A fraction that is rounded up to 2048 carries into the exponent by itself.
  return sign | (size < 2 ** -14 ? steps : ((exponent + 14) << 10) + steps);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The elements' bytes as NumPy wants them. */
export function elementBytes(data: TypedArray, dtype: string): Buffer {
  if (dtype !== 'float16') return bytesIn(data);
  const halves = Uint16Array.from(data as Float32Array, toHalf);
  return Buffer.from(halves.buffer);
}

export function bytesOf(value: unknown): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof PyByteArray) return value.bytes;
  if (!(value instanceof PyObject)) return undefined;
  // Protocol 2 has no bytes: it writes how to encode them from text.
  if (value.path === 'builtins.bytes' && value.arguments.length === 0) return Buffer.alloc(0);
  if (value.path !== '_codecs.encode') return undefined;
  const [text, encoding] = value.arguments;
  return typeof text === 'string' && encoding === 'latin1' ? Buffer.from(text, 'latin1') : undefined;
}

export function typedArray(element: ElementType, swap: boolean, bytes: Buffer): TypedArray | undefined {
  const { numberBytes, numbers, make } = element;
  if (bytes.length % (numberBytes * numbers) !== 0) return undefined;
  const copy = Buffer.from(new ArrayBuffer(bytes.length));
  bytes.copy(copy);
  if (swap && numberBytes === 2) copy.swap16();
  else if (swap && numberBytes === 4) copy.swap32();
  else if (swap && numberBytes === 8) copy.swap64();
  return make(copy.buffer as ArrayBuffer);
}

interface DType {
  readonly element: ElementType;
  readonly swap: boolean;
  /** With the unit of dates. */
  readonly name: string;
}

function dtypeOf(node: unknown): DType | undefined {
  if (!(node instanceof PyObject) || node.path !== 'numpy.dtype') return undefined;
  const element = ELEMENT_TYPES.get(String(node.arguments[0]));
  if (element === undefined) return undefined;
  const state = node.state instanceof PyTuple ? node.state.items : [];
  // Fields, sub-arrays: more than an element.
  if ([2, 3, 4].some((at) => state[at] !== undefined && state[at] !== null)) return undefined;
  const unit = element.name === 'datetime64' || element.name === 'timedelta64' ? unitOf(state[8]) : '';
  return unit === undefined ? undefined : { element, swap: state[1] === '>', name: `${element.name}${unit}` };
}

/** `[ns]`, `[25s]`, or nothing: of `(metadata, (unit, count, divisor, event))`. */
function unitOf(node: unknown): string | undefined {
  const given = node instanceof PyTuple ? node.items[1] : undefined;
  if (!(given instanceof PyTuple)) return undefined;
  const [written, count, divisor] = given.items;
  const unit = bytesOf(written);
  if (unit === undefined || divisor !== 1) return undefined;
  const name = unit.toString('latin1');
  return name === 'generic' ? '' : `[${count === 1 ? '' : String(count)}${name}]`;
}

function shapeIn(node: unknown): number[] | undefined {
  if (typeof node === 'number') return [node];
  if (!(node instanceof PyTuple) || node.items.length > 64) return undefined;
  return node.items.every((side) => typeof side === 'number' && side >= 0) ? (node.items as number[]) : undefined;
}

/** Fortran's order, the first index fastest, into C's, the last one fastest. */
function transposed(data: TypedArray, shape: readonly number[], numbers: number): TypedArray {
  const Class = data.constructor as new (length: number) => TypedArray;
  const result = new Class(data.length) as unknown as unknown[];
  const from = data as unknown as unknown[];
  const steps: number[] = [];
  for (let step = 1, axis = 0; axis < shape.length; step *= shape[axis++]!) steps.push(step);
  const index = shape.map(() => 0);
  let source = 0;
  for (let at = 0; at < data.length; at += numbers) {
    for (let part = 0; part < numbers; part++) result[at + part] = from[source * numbers + part];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= steps[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result as unknown as TypedArray;
}

function shaped(dtypeNode: unknown, shapeNode: unknown, data: unknown, order: unknown): unknown {
  const dtype = dtypeOf(dtypeNode);
  const shape = shapeIn(shapeNode);
  const bytes = bytesOf(data);
  if (dtype === undefined || shape === undefined || bytes === undefined) return undefined;
  const { numbers } = dtype.element;
  const array = typedArray(dtype.element, dtype.swap, bytes);
  if (array === undefined || shape.reduce((product, side) => product * side, numbers) !== array.length)
    return undefined;
  const isFortran = (order === true || order === 'F') && shape.length > 1;
  return ndarray(isFortran ? transposed(array, shape, numbers) : array, shape, dtype.name);
}

/**
 * Arrays as NumPy 1 and 2 write them: `_frombuffer` for contiguous ones, `_reconstruct` and a state for the rest; and scalars that are one
 * number. Undefined for what has no typed array (text, records, objects) and for scalars of other kinds: they stay opaque.
 */
export function fromNumpy(node: PyObject): unknown {
  const args = node.arguments;
  if (/^numpy\.(?:_core|core)\.numeric\._frombuffer$/.test(node.path))
    return shaped(args[1], args[2], args[0], args[3]);
  if (/^numpy\.(?:_core|core)\.multiarray\._reconstruct$/.test(node.path) && node.state instanceof PyTuple) {
    const [, shape, dtype, fortran, data] = node.state.items;
    return shaped(dtype, shape, data, fortran);
  }
  if (/^numpy\.(?:_core|core)\.multiarray\.scalar$/.test(node.path)) {
    const dtype = dtypeOf(args[0]);
    const bytes = bytesOf(args[1]);
    // A complex number or a date is not one number.
    if (dtype === undefined || bytes === undefined || /^(?:complex|datetime|timedelta)/.test(dtype.name))
      return undefined;
    const value = typedArray(dtype.element, dtype.swap, bytes)?.[0];
    if (dtype.name === 'bool') return value !== 0;
    const safe = typeof value === 'bigint' && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
    return safe ? Number(value) : value;
  }
  return undefined;
}
