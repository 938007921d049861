/** What Python has and JavaScript has not arrives as data under its own name, or opaque; never as something else in silence. */
import numpyPickles from './numpy-pickles.json';
import { ndarray, plainAttributes, plainValue, PyObject, type NdArray } from '../../lib/ray';
import { elementBytes, ELEMENT_TYPES, typedArray } from '../../lib/transports/ray/pickle/numpy';
import { readPickle } from '../../lib/transports/ray/pickle/convert';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import { runPython } from './python';

interface Recorded {
  name: string;
  protocol: number;
  pickle: string;
  opaque?: boolean;
  dtype?: string;
  shape?: number[];
  numbers?: (string | number)[];
  scalar?: boolean;
}

const text = (value: unknown): string => (Object.is(value, -0) ? '-0' : String(value));
const asNumber = (value: string | number): string =>
  typeof value === 'string' && !/^-?\d+$/.test(value) ? text(Number(value.replace('inf', 'Infinity'))) : String(value);

// Made by NumPy 2.4, whose pickles name the modules that NumPy 1 also has, but for an underscore.
describe.each(['_core', 'core'])('NumPy, pickled with numpy.%s', (module) => {
  test.each((numpyPickles as Recorded[]).map((one) => [`${one.name}, protocol ${one.protocol}`, one] as const))(
    '%s',
    (_, one) => {
      let bytes: Buffer = Buffer.from(one.pickle, 'base64');
      if (module === 'core') bytes = withoutUnderscore(bytes);
      const value = readPickle(bytes);
      if (one.opaque) return expect(value).toBeInstanceOf(PyObject);
      if (one.scalar) return expect(text(Number(value))).toBe(asNumber(one.numbers![0]!));
      const array = value as NdArray;
      expect({ dtype: array.dtype, shape: [...array.shape] }).toEqual({ dtype: one.dtype, shape: one.shape });
      expect(Array.from(array as Iterable<unknown>, text)).toEqual(one.numbers!.map(asNumber));
      // It goes back as what it was.
      const back = readPickle(writePickle({ dtype: array.dtype, bytes: ndarray(array, array.shape, array.dtype) })) as {
        bytes: unknown;
      };
      expect(back.bytes).toBeInstanceOf(PyObject);
      expect(dtypeWritten(back.bytes as PyObject)).toBe(one.dtype);
    },
  );
});

/** The text of the names in a pickle, of NumPy 1. Frames and lengths are those of the shorter name. */
function withoutUnderscore(bytes: Buffer): Buffer {
  const [from, to] = ['numpy._core.', 'numpy.core.'];
  let source = bytes.toString('latin1');
  // Protocol 2 ends names with a line; later ones begin them with their length.
  source = source.replace(
    /\x8c(.)numpy\._core\./g,
    (_, length: string) => `\x8c${String.fromCharCode(length.charCodeAt(0) - 1)}${to}`,
  );
  source = source.replaceAll(`c${from}`, `c${to}`);
  // A frame's length counts the names in it; without one the rest is the same.
  return Buffer.from(source.replace(/^(\x80[\x04\x05])\x95[\s\S]{8}/, '$1'), 'latin1');
}

/** `numpy.reshape(numpy.frombuffer(bytes, dtype), shape)`. */
function dtypeWritten(reshape: PyObject): unknown {
  const flat = reshape.arguments[0] as PyObject;
  return (flat.arguments[1] as PyObject).arguments[0];
}

test("float16 is rounded as Python's struct does, and each of them comes back as it was", () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7fff) <= 0x7c00);
  const recorded = (numpyPickles as Recorded[]).find((one) => one.name === 'float16' && one.protocol === 4)!;
  const array = readPickle(Buffer.from(recorded.pickle, 'base64')) as Float32Array;
  const numbers = [
    ...array,
    0.1,
    1 / 3,
    2049,
    2051,
    65519.99,
    65520,
    2 ** -24,
    2 ** -25,
    1.5 * 2 ** -25,
    2 ** -14 - 2 ** -26,
    -1e-9,
  ];
  const given = numbers.filter((number) => Math.abs(number) < 65520);
  const rounded = runPython<number[]>(
    'import struct\nresult = [struct.unpack("<H", struct.pack("<e", x))[0] for x in given]',
    given,
  );
  const bytes = elementBytes(Float32Array.from(given), 'float16');
  // -0 does not survive JSON.
  expect(Array.from(given, (number, at) => (Object.is(number, -0) ? 0x8000 : bytes.readUInt16LE(at * 2)))).toEqual(
    given.map((number, at) => (Object.is(number, -0) ? 0x8000 : rounded[at])),
  );
  expect(elementBytes(new Float32Array([65520, -Infinity, NaN]), 'float16').toString('hex')).toBe('007c00fc007e');
  const float16 = ELEMENT_TYPES.get('f2')!;
  const there = typedArray(float16, false, Buffer.from(halves.buffer))!;
  const back = elementBytes(there, 'float16');
  expect(new Uint16Array(back.buffer, back.byteOffset, halves.length)).toEqual(halves);
});

test.each([
  ['an array of another class', () => ndarray(new Int8Array(2), [2], 'bool')],
  ['an odd number of halves', () => ndarray(new Float32Array(3), [1], 'complex64')],
  ['a type that NumPy does not have', () => ndarray(new Float32Array(3), [3], 'float15')],
])('%s is refused', (_, make) => {
  expect(make).toThrow(RangeError);
});

const CLASSES = `
import enum, uuid, dataclasses
class Color(enum.Enum):
    RED = 2
class Level(enum.IntEnum):
    LOW = 1
@dataclasses.dataclass
class Point:
    x: int
    y: list
`;

test('Decimal, UUID, date, time, timedelta, complex, enums and dataclasses are opaque, and have a plain value', () => {
  const cases: [string, unknown][] = [
    ['decimal.Decimal("1.50")', '1.50'],
    ['uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")', '00112233-4455-6677-8899-aabbccddeeff'],
    ['datetime.date(2024, 2, 29)', '2024-02-29'],
    ['datetime.time(1, 2, 3, 4)', '01:02:03.000004'],
    ['datetime.time(1, 2, 3)', '01:02:03'],
    ['datetime.timedelta(days=1, seconds=2, microseconds=3)', 86_402_000.003],
    ['1 + 2j', [1, 2]],
  ];
  const expressions = cases.map(([expression]) => expression);
  for (const protocol of [2, 4, 5]) {
    const pickles = runPython<string[]>(
      `${CLASSES}result = [pickle.dumps(eval(e), ${protocol}).hex() for e in given]`,
      [...expressions, 'Color.RED', 'Level.LOW', 'Point(1, [2])'],
    ).map((hex) => Buffer.from(hex, 'hex'));
    const values = pickles.map((pickle) => readPickle(pickle)) as PyObject[];
    for (const value of values) expect(value).toBeInstanceOf(PyObject);
    expect(values.slice(0, cases.length).map((value) => plainValue(value))).toEqual(cases.map(([, plain]) => plain));
    // By value or by name, as that version of Python writes it.
    expect([2, 'RED']).toContain(plainValue(values[cases.length]!));
    expect([1, 'LOW']).toContain(plainValue(values[cases.length + 1]!));
    expect({ ...plainAttributes(values[cases.length + 2]!) }).toEqual({ x: 1, y: [2] });
    // Put again, they arrive as they were.
    const back = runPython<boolean[]>(
      `${CLASSES}result = [pickle.loads(bytes.fromhex(h)) == eval(e) for h, e in zip(*given)]`,
      [
        values.map((value) => writePickle(value).toString('hex')),
        [...expressions, 'Color.RED', 'Level.LOW', 'Point(1, [2])'],
      ],
    );
    expect(back).toEqual(back.map(() => true));
  }
});
