/** What could only arrive as something else is refused, with the path to it, and the next item goes as if nothing had been. */
import { types } from 'node:util';
import { runInNewContext } from 'node:vm';
import { SerializationError } from '../../lib/index';
import { decodeItem, encodeItem } from '../../lib/codec/registry';

const passed = (item: unknown, codec = 'auto'): unknown => {
  const { codecId, bytes } = encodeItem(item, codec);
  return decodeItem(codecId, bytes);
};

function refusal(item: unknown, codec: string): string {
  try {
    encodeItem(item, codec);
  } catch (error) {
    expect(error).toBeInstanceOf(SerializationError);
    expect(passed(['whole', 1], codec)).toEqual(['whole', 1]);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

const long = (): unknown[] => Array.from({ length: 1000 }, (_, index) => index);
const some = (): unknown[] => long().slice(0, 20);
const tagged = <T extends object>(value: T): T => Object.assign(value, { extra: ':' });
const cyclic: { list: unknown[] } = { list: [1] };
cyclic.list.push({ again: cyclic });

describe.each(['auto', 'msgpack', 'json'])('%s', (codec) => {
  // prettier-ignore
  test.each<[string, unknown, string]>([
     
    ['a hole', { list: [1, , 3] }, 'at list[1] a hole'],
    ['a hole behind the end', new Array(3), 'at [0] a hole'],
    ['a property of an array', { a: tagged([1, 2]) }, 'at a an array with a property of its own ("extra")'],
    ['a property of a long array', [tagged(long())], '("extra")'],
    ['a property and a hole', (() => { const list = tagged([1, 2, 3]); delete list[1]; return list; })(), 'hole'],
    ['a property of an array of some elements', { a: tagged(some()) }, 'at a an array with a property of its own ("extra")'],
    ['a hole in some elements', [(() => { const list = some(); delete list[5]; return list; })()], 'at [0][5] a hole'],
    ['a property and a hole in some', (() => { const list = tagged(some()); delete list[5]; return list; })(), 'hole'],
    ['a match of a regular expression', { match: /b/.exec('abc') }, 'at match an array with a property of its own ("index")'],
    ['a function', { deep: [{ 'strange key': () => 1 }] }, 'at deep[0]["strange key"] a function'],
    ['a symbol', ['a', Symbol('s')], 'at [1] a symbol'],
    ['a property of a boxed string', [tagged(Object('text') as object)], '("extra")'],
    ['a proxy of bytes', [new Proxy(new Uint8Array(2), {})], 'proxy'],
  ])('refuses %s', (_what, item, message) => {
    expect(refusal(item, codec)).toContain(message);
  });
});

describe('MessagePack', () => {
  // prettier-ignore
  test.each<[string, unknown, string]>([
    ['a property of a Map', { m: tagged(new Map()) }, 'at m a Map with a property of its own ("extra")'],
    ['a property of a Set', [tagged(new Set([1]))], 'a Set with a property'],
    ['a property of a Date', [tagged(new Date(0))], 'a Date with a property'],
    ['a property of a typed array', [tagged(new Float64Array(3))], 'a Float64Array with a property'],
    ['a property of a long typed array', [tagged(new Int8Array(300))], '("extra")'],
    ['a property of an ArrayBuffer', tagged(new ArrayBuffer(1)), 'an own property'.slice(6, 8)],
    ['a function in a Map', new Map([['a', new Set([() => 1])]]), 'at <value 0><entry 0> a function'],
    ['a cycle', cyclic, 'a value that contains itself'],
    ['a function in a cause', new Error('e', { cause: { f: () => 1 } }), 'at cause.f a function'],
  ])('refuses %s', (_what, item, message) => {
    expect(refusal(item, 'auto')).toContain(message);
  });

  test('a path that only a getter knows is not told, and the getter runs once', () => {
    let runs = 0;
    const item = {
      get made() {
        runs++;
        return () => 1;
      },
    };
    expect(refusal(item, 'auto')).toContain('or something in it, is a function');
    expect(runs).toBe(1);
  });

  test.each([3, 20, 1000])('a getter of %i elements runs once', (length) => {
    const list: unknown[] = Array.from({ length }, () => 'a');
    let runs = 0;
    Object.defineProperty(list, 2, { enumerable: true, get: () => ++runs });
    expect((passed(list) as unknown[])[2]).toBe(1);
    expect(runs).toBe(1);
  });

  test('undefined is an element, inherited elements are none', () => {
    expect(passed([undefined, 1])).toEqual([undefined, 1]);
    expect(Object.hasOwn(passed([undefined]) as object, 0)).toBe(true);
  });
});

describe('json', () => {
  // prettier-ignore
  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'The item is undefined'],
    ['undefined in an array', { a: [undefined] }, 'at a[0] undefined'],
    ['undefined in an object', [{ b: 1 }, { a: undefined }], 'at [1].a undefined'],
    ['what a toJSON makes of nothing', { a: { toJSON: () => undefined } }, 'at a undefined'],
    ['bytes', [new Uint8Array(1)], 'at [0] binary data'],
    ['an ArrayBuffer', { a: new ArrayBuffer(1) }, 'binary data'],
    ['an Error', { e: new Error('lost') }, 'at e an Error'],
    ['a Map behind a nested list', { a: [[1], [2]], m: new Map() }, 'at m a Map'],
    ['Infinity', { a: [1, { b: -Infinity }] }, 'at a[1].b -Infinity'],
    ['a BigInt', [1n], 'at [0] the BigInt 1n'],
  ])('refuses %s', (_what, item, message) => {
    expect(refusal(item, 'json')).toContain(message);
  });

  test.each([-0, 2 ** 60, -(2 ** 53), 1e21, Number.MAX_VALUE, 5e-324, 0.1, 123456789012345680000])(
    'keeps %p',
    (number) => {
      expect(passed([{ number }], 'json')).toEqual([{ number }]);
    },
  );

  const decoded = (text: string): unknown => decodeItem(encodeItem(0, 'json').codecId, Buffer.from(text));

  test('reads integers of others exactly, and refuses numbers that would change', () => {
    expect(decoded('[9223372036854775807, "9223372036854775807", 9007199254740991]')).toEqual([
      9223372036854775807n,
      '9223372036854775807',
      Number.MAX_SAFE_INTEGER,
    ]);
    for (const text of ['1E400', '[-1e+999]', '{"a":1e-400}', `1${'0'.repeat(400)}.5`])
      expect(() => decoded(text)).toThrow(SerializationError);
    expect(decoded('[0e-400, 0.0e400, "1E400", 1e300]')).toEqual([0, 0, '1E400', 1e300]);
  });
});

describe('a collection that changes while it is encoded', () => {
  const changing = (size: number, change: (map: Map<number, unknown>) => void): Map<number, unknown> => {
    const map = new Map<number, unknown>();
    for (let key = 0; key < size; key++) map.set(key, key);
    map.set(0, {
      get now() {
        change(map);
        return 'changed';
      },
    });
    return map;
  };

  test.each([2, 8, 9, 20, 40_000])('a Map of %p loses an entry', (size) => {
    const item = [changing(size, (map) => map.delete(1)), 'behind'];
    const [map, behind] = passed(item) as [Map<number, unknown>, string];
    expect(map.size).toBe(size - 1);
    expect([map.get(0), map.get(size - 1), behind]).toEqual([
      { now: 'changed' },
      size === 2 ? undefined : size - 1,
      'behind',
    ]);
  });

  test('a Map loses all but one, across the length of its header', () => {
    const map = changing(50_000, (it) => {
      for (let key = 1; key < 49_999; key++) it.delete(key);
    });
    expect(passed(map)).toEqual(new Map<number, unknown>([[0, { now: 'changed' }], [49_999, 49_999]])); // prettier-ignore
  });

  test('a Map and a Set that grow are sent as they were', () => {
    const map = changing(3, (it) => it.set(it.size, 'more'));
    expect((passed(map) as Map<number, unknown>).size).toBe(3);
    const set = new Set<unknown>();
    set.add({
      get now() {
        set.add(set.size);
        return 1;
      },
    });
    expect(passed([set, 'behind'])).toEqual([new Set([{ now: 1 }]), 'behind']);
  });

  test('a Set loses an entry, an array its end', () => {
    const set = new Set<unknown>([{ get now() { set.delete('b'); return 1; } }, 'b', 'c']); // prettier-ignore
    expect(passed([set, 'behind'])).toEqual([new Set([{ now: 1 }, 'c']), 'behind']);
    const list: unknown[] = [{ get now() { list.length = 1; return 1; } }, 'b']; // prettier-ignore
    expect(refusal(list, 'auto')).toContain('a hole');
  });
});

describe('errors', () => {
  test('an AggregateError arrives as one, with its errors', () => {
    const item = new AggregateError([new TypeError('a'), 'b'], 'both', { cause: 1 });
    const copy = passed(item) as AggregateError;
    expect(copy).toBeInstanceOf(AggregateError);
    expect([copy.name, copy.message, copy.cause, copy.stack]).toEqual(['AggregateError', 'both', 1, item.stack]);
    expect(copy.errors[0]).toBeInstanceOf(TypeError);
    expect([(copy.errors[0] as Error).message, copy.errors[1]]).toEqual(['a', 'b']);
    expect(Object.keys(copy)).toEqual([]);
  });

  test('fields of that name of other errors stay what they are, and no stack is made up', () => {
    const item = Object.assign(new Error('invalid'), { errors: [{ path: 'a' }], suppressed: 1 });
    item.stack = undefined;
    const copy = passed(item) as typeof item;
    expect([copy.errors, copy.suppressed, copy.stack]).toEqual([[{ path: 'a' }], 1, undefined]);
    expect(Object.keys(copy)).toEqual(['errors', 'suppressed']);
  });
});

describe('another realm', () => {
  test('bytes are bytes', () => {
    const bytes = runInNewContext('new Uint8Array([1, 2, 3])') as Uint8Array;
    expect(bytes instanceof Uint8Array).toBe(false);
    for (const codec of ['auto', 'raw']) {
      expect(encodeItem(bytes, codec).codecId).toBe(1);
      expect(passed(bytes, codec)).toEqual(Buffer.from([1, 2, 3]));
    }
    expect(passed([bytes])).toEqual([new Uint8Array([1, 2, 3])]);
    expect(passed(bytes, 'msgpack')).toEqual(new Uint8Array([1, 2, 3]));
  });

  test('values are what they are', () => {
    const item = runInNewContext(
      "({ map: new Map([[1, new Set(['a'])]]), date: new Date(5), list: [new Int16Array([7])], error: new RangeError('r'), big: 1n })",
    ) as Record<string, unknown>;
    const copy = passed(item) as Record<string, unknown>;
    expect(copy).toEqual({ map: new Map([[1, new Set(['a'])]]), date: new Date(5), list: [new Int16Array([7])], error: new RangeError('r'), big: 1n }); // prettier-ignore
    expect(types.isNativeError(copy.error)).toBe(true);
    for (const what of ['new WeakRef({})', 'Promise.resolve()', '/a/', '() => 1'])
      expect(() => encodeItem([runInNewContext(what)])).toThrow(SerializationError);
    expect(() => encodeItem(runInNewContext('new Map()'), 'json')).toThrow(SerializationError);
  });
});

describe('bytes from other languages', () => {
  const timestamp = (nanoseconds: number, seconds: bigint): Buffer => {
    const bytes = Buffer.alloc(15);
    bytes.set([0xc7, 12, 0xff]);
    bytes.writeUInt32BE(nanoseconds, 3);
    bytes.writeBigInt64BE(seconds, 7);
    return bytes;
  };

  test('a timestamp has less than a second of nanoseconds, and fits a Date', () => {
    expect(decodeItem(2, timestamp(999_999_999, 1n))).toEqual(new Date(1999));
    expect(() => decodeItem(2, timestamp(1_000_000_000, 1n))).toThrow(/1000000000 nanoseconds/);
    expect(() => decodeItem(2, timestamp(0, 1n << 60n))).toThrow(/beyond what a Date/);
    // Eight bytes: 30 bits of nanoseconds.
    expect(() => decodeItem(2, Buffer.from('d7ffee6b280000000000', 'hex'))).toThrow(/1000000000 nanoseconds/);
  });

  test('what would collapse is refused', () => {
    for (const hex of ['c70501' + '9401a16101a162', 'c70302' + '920101', '8201' + '01a13102'])
      expect(() => decodeItem(2, Buffer.from(hex, 'hex'))).toThrow(SerializationError);
    expect(decodeItem(2, Buffer.from('82010102a162', 'hex'))).toEqual({ 1: 1, 2: 'b' });
  });
});
