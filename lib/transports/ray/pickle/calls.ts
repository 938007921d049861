/** What Python makes by calling something: times and arrays. */
import { elementBytes } from './numpy';
import { bytesIn } from './refusals';
import { asTuple, ndarrayInfo, PickleError, PyByteArray, PyGlobal, PyObject, PyTuple } from './types';
import type { TypedArray } from './types';

export interface Call {
  module: string;
  name: string;
  args: readonly unknown[];
}

/** An aware `datetime` in UTC. @throws PickleError for one that Python does not have */
export function dateCall(given: Date): Call {
  const value = new Date(given); // whatever a class of the program's says of its time
  const year = value.getUTCFullYear();
  if (Number.isNaN(value.getTime()) || year < 1 || year > 9999) {
    throw new PickleError('Python has no datetime for an invalid Date or a year outside 1 to 9999.');
  }
  const packed = Buffer.alloc(10);
  packed.writeUInt16BE(year, 0);
  packed.set(
    [value.getUTCMonth() + 1, value.getUTCDate(), value.getUTCHours(), value.getUTCMinutes(), value.getUTCSeconds()],
    2,
  );
  packed.writeUIntBE(value.getUTCMilliseconds() * 1000, 7, 3);
  const noOffset = new PyObject('reduce', new PyGlobal('datetime', 'timedelta'), new PyTuple([0, 0, 0]));
  const utc = new PyObject('reduce', new PyGlobal('datetime', 'timezone'), new PyTuple([noOffset]));
  return { module: 'datetime', name: 'datetime', args: [packed, utc] };
}

/** Python's `array.array` type code and `_array_reconstructor`'s machine format, by constructor name. */
const ARRAY_CODES: { readonly [name: string]: readonly [code: string, format: number] } = {
  Uint8Array: ['B', 0],
  Uint8ClampedArray: ['B', 0],
  Int8Array: ['b', 1],
  Uint16Array: ['H', 2],
  Int16Array: ['h', 4],
  Uint32Array: ['I', 6],
  Int32Array: ['i', 8],
  BigUint64Array: ['Q', 10],
  BigInt64Array: ['q', 12],
  Float32Array: ['f', 14],
  Float64Array: ['d', 16],
};

/** With a shape, a NumPy array; every other array but of bytes an `array.array`, which needs no package. Undefined: they go as `bytes`. */
export function arrayCall(value: ArrayBufferView): Call | undefined {
  const array = ndarrayInfo(value);
  if (array !== undefined) {
    // The module that NumPy 1 and 2 both still accept for pickles.
    const dtype = new PyObject('reduce', new PyGlobal('numpy', 'dtype'), new PyTuple([array.dtype]));
    const elements = new PyByteArray(elementBytes(value as TypedArray, array.dtype));
    const flat = new PyObject('reduce', new PyGlobal('numpy', 'frombuffer'), new PyTuple([elements, dtype]));
    return { module: 'numpy', name: 'reshape', args: [flat, asTuple([...array.shape])] };
  }
  const codes = ARRAY_CODES[value.constructor.name];
  if (codes === undefined || codes[0] === 'B') return undefined;
  const bytes = bytesIn(value);
  return {
    module: 'array',
    name: '_array_reconstructor',
    args: [new PyGlobal('array', 'array'), codes[0], codes[1], bytes],
  };
}
