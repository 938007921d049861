import { asFrozenSet, asTuple, PyFloat, PyObject } from '../../lib/transports/ray/pickle/types';
import { readPickle, plainAttributes } from '../../lib/transports/ray/pickle/convert';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import { runPython } from './python';
import { seeded } from '../random';
import { anyValue } from './any-value';

/** What Python makes of values that were written here: their `repr`. */
function reprs(values: unknown[]): string[] {
  const hex = values.map((value) => writePickle(value).toString('hex'));
  return runPython<string[]>('result = [repr(pickle.loads(bytes.fromhex(h))) for h in given]', hex);
}

/** Python expressions, pickled by Python with each protocol from 2 to 5 and read here. */
function readFrom(expressions: string[], protocol: number): unknown[] {
  const hex = runPython<string[]>(
    'result = [pickle.dumps(eval(e), protocol=given["protocol"]).hex() for e in given["expressions"]]',
    { expressions, protocol },
  );
  return hex.map((text) => readPickle(Buffer.from(text, 'hex')));
}

test('JavaScript values arrive in Python as the natural ones', () => {
  const cases: [unknown, string][] = [
    [null, 'None'],
    [undefined, 'None'],
    [true, 'True'],
    [0, '0'],
    [255, '255'],
    [256, '256'],
    [65535, '65535'],
    [65536, '65536'],
    [-1, '-1'],
    [-2147483648, '-2147483648'],
    [2147483648, '2147483648'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [-0, '-0.0'],
    [1.5, '1.5'],
    [1e300, '1e+300'],
    [new PyFloat(1), '1.0'],
    [NaN, 'nan'],
    [-Infinity, '-inf'],
    [0n, '0'],
    [127n, '127'],
    [128n, '128'],
    [-128n, '-128'],
    [-129n, '-129'],
    [2n ** 100n, '1267650600228229401496703205376'],
    [-(2n ** 100n), '-1267650600228229401496703205376'],
    ['', "''"],
    ['é漢😀\0', "'é漢😀\\x00'"],
    ['x'.repeat(300), `'${'x'.repeat(300)}'`],
    [Buffer.from([1, 2]), "b'\\x01\\x02'"],
    [new Uint8Array([3]), "b'\\x03'"],
    [new Uint8Array([4]).buffer, "b'\\x04'"],
    [[1, [2, []]], '[1, [2, []]]'],
    [asTuple([]), '()'],
    [asTuple([1]), '(1,)'],
    [asTuple([1, 2, 3]), '(1, 2, 3)'],
    [asTuple([1, 2, 3, 4]), '(1, 2, 3, 4)'],
    [{ a: 1, b: { c: null } }, "{'a': 1, 'b': {'c': None}}"],
    [new Map([[1, 'a']]), "{1: 'a'}"],
    [new Set([1]), '{1}'],
    [asFrozenSet(new Set([1])), 'frozenset({1})'],
    [
      new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 123)),
      'datetime.datetime(2024, 2, 29, 12, 30, 15, 123000, tzinfo=datetime.timezone.utc)',
    ],
    [new Float32Array([1.5]), "array('f', [1.5])"],
    [new BigInt64Array([-5n]), "array('q', [-5])"],
    [{ toJSON: () => ({ queue_id: 'q' }) }, "{'queue_id': 'q'}"],
  ];
  const got = reprs(cases.map(([value]) => value));
  expect(got).toEqual(cases.map(([, repr]) => repr));
});

test.each([2, 3, 4, 5])('Python values of protocol %i arrive as the natural ones', (protocol) => {
  const cases: [string, unknown][] = [
    ['None', null],
    ['[True, False]', [true, false]],
    ['[0, 255, 256, 65536, -1, 2**31, -2**40]', [0, 255, 256, 65536, -1, 2 ** 31, -(2 ** 40)]],
    ['2**53 - 1', Number.MAX_SAFE_INTEGER],
    ['2**53', 2n ** 53n],
    ['-2**63', -(2n ** 63n)],
    ['3**2000', 3n ** 2000n],
    ['[1.0, 1.5, float("inf")]', [1, 1.5, Infinity]],
    ['"é漢😀" * 100', 'é漢😀'.repeat(100)],
    ['"\\ud800x"', '\ud800x'],
    [
      'b"\\x00\\xff" * 200',
      Buffer.from([0, 255].flatMap(() => Array.from({ length: 200 }, (_, at) => (at % 2) * 255))),
    ],
    ['bytearray(b"ab")', Buffer.from('ab')],
    ['(1, (2,), ())', [1, [2], []]],
    ['{"a": {"b": [1]}}', { a: { b: [1] } }],
    ['{1: "a", "b": 2}', new Map<unknown, unknown>([[1, 'a'], ['b', 2]])], // prettier-ignore
    ['{1, 2}', new Set([1, 2])],
    ['frozenset([1])', new Set([1])],
    ['collections.OrderedDict(a=1)', { a: 1 }],
    ['collections.defaultdict(list, a=[1])', { a: [1] }],
    ['collections.Counter("aab")', { a: 2, b: 1 }],
    ['collections.deque([1, 2])', [1, 2]],
    ['collections.deque([1, 2], 5)', [1, 2]],
    ['datetime.datetime(2024, 2, 29, 1, 2, 3, 4567)', new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 4))],
    [
      'datetime.datetime(2024, 2, 29, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))',
      new Date(Date.UTC(2024, 1, 28, 23)),
    ],
    ['array.array("d", [1.5, 2.5])', new Float64Array([1.5, 2.5])],
  ];
  expect(readFrom(cases.map(([expression]) => expression), protocol)).toEqual(cases.map(([, value]) => value)); // prettier-ignore
});

test('shared and self-referring values keep their identity', () => {
  const hex = runPython<string[]>(
    'a = []; b = [a, a]; c = []; c.append(c); d = {}; d["me"] = d\nresult = [pickle.dumps(x).hex() for x in (b, c, d)]',
  );
  const [shared, list, dict] = hex.map((text) => readPickle(Buffer.from(text, 'hex'))) as [
    unknown[],
    unknown[],
    { me: unknown },
  ];
  expect(shared[0]).toBe(shared[1]);
  expect(list[0]).toBe(list);
  expect(dict.me).toBe(dict);
});

test('an instance of an unknown class is opaque, and comes back to Python unchanged', () => {
  const program = `
import uuid, fractions, pathlib, types
class Point:
    def __init__(self, x): self.x = x; self.me = self
ns = types.SimpleNamespace(a=1, t=(1, 2.0)); ns.self = ns; ns.loop = ([],); ns.loop[0].append(ns.loop)
cases = [decimal.Decimal("1.10"), uuid.UUID(int=5), fractions.Fraction(1, 3), pathlib.PurePosixPath("/a"), ns, datetime.timedelta(1), datetime.date(2024, 1, 2), complex(1, 2), range(3), ValueError("x", 1), int, Point(3)]
if given is None: result = [pickle.dumps(c).hex() for c in cases]
else: result = [repr(pickle.loads(bytes.fromhex(h))) == repr(c) or isinstance(c, Point) and pickle.loads(bytes.fromhex(h)).me.x == 3 for h, c in zip(given, cases)]
`;
  const values = runPython<string[]>(program).map((text) => readPickle(Buffer.from(text, 'hex')));
  expect((values[0] as PyObject).path).toBe('decimal.Decimal');
  expect((values[0] as PyObject).arguments).toEqual(['1.10']);
  expect(plainAttributes(values[4] as PyObject)).toMatchObject({ a: 1, t: [1, 2] });
  expect(values[9]).toMatchObject({ pythonType: 'builtins.ValueError', args: ['x', 1] });
  const back = runPython<boolean[]>(program, values.map((value) => writePickle(value).toString('hex'))); // prettier-ignore
  expect(back).toEqual(values.map(() => true));
});

test('any value survives JavaScript → Python → JavaScript', () => {
  const chance = seeded('values to Python and back');
  const values = Array.from({ length: 400 }, () => anyValue(chance));
  for (const protocol of [2, 4, 5]) {
    const hex = runPython<string[]>(
      'result = [pickle.dumps(pickle.loads(bytes.fromhex(h)), protocol=given["protocol"]).hex() for h in given["values"]]',
      { protocol, values: values.map((value) => writePickle(value).toString('hex')) },
    );
    expect(hex.map((text) => readPickle(Buffer.from(text, 'hex')))).toEqual(values);
  }
});

test.each([
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['half a surrogate pair', '\ud800'],
  ['an invalid Date', new Date(NaN)],
  ['an Error', new Error('x')],
  ['a promise', Promise.resolve()],
])('%s is refused', (_, value) => {
  expect(() => writePickle([value])).toThrow(expect.objectContaining({ name: 'PickleError' }));
});

test('a cycle is refused, a value that occurs twice is not', () => {
  const twice = { a: 1 };
  expect(reprs([[twice, twice]])).toEqual(["[{'a': 1}, {'a': 1}]"]);
  const cycle: unknown[] = [];
  cycle.push(cycle);
  expect(() => writePickle(cycle)).toThrow(/contains itself/);
});
