import { ItemTooLargeError, QueueDescriptor, registerCodec, SerializationError } from '../../lib/index';
import {
  CODEC_JSON,
  CODEC_MSGPACK,
  CODEC_RAW,
  CODEC_V8,
  decodeItem,
  encodeItem,
  encodeItemSpan,
  itemCodecOf,
} from '../../lib/codec/registry';
import { seeded } from '../random';
import type { Random } from '../random';
import { isDeepStrictEqual } from 'node:util';

function roundTrip(value: unknown, codec = 'auto'): unknown {
  const { codecId, bytes } = encodeItem(value, codec);
  return decodeItem(codecId, bytes);
}

// The system gives no memory for them before somebody reads or writes it.
test.each([2 ** 31, 2 ** 32 - 1, 2 ** 32])('an item of %d bytes and more is refused before it is written', (length) => {
  const bytes = new Uint8Array(length);
  for (const codec of ['auto', 'msgpack'])
    for (const encode of [encodeItem, encodeItemSpan])
      expect(() => encode({ bytes }, codec)).toThrow(ItemTooLargeError);
  const ofSchema = itemCodecOf({ schema: { bytes: 'bytes' } });
  expect(() => encodeItem({ bytes }, ofSchema)).toThrow(ItemTooLargeError);
  expect(roundTrip({ after: 'it' })).toEqual({ after: 'it' });
});

// The frozen bytes: what was written by one version is read by every later one, and by other languages.
test.each([
  ['undefined', undefined, 'd40000'],
  ['-0', -0, 'cb8000000000000000'],
  ['2 ** 40', 2 ** 40, 'cf0000010000000000'],
  ['-(2 ** 40)', -(2 ** 40), 'd3ffffff0000000000'],
  ['Map', new Map([[1, 'a']]), 'c9000000040192' + '01a161'],
  ['Set', new Set([1]), 'c900000002029101'],
  ['BigInt', -2n, 'c70803fffffffffffffffe'],
  ['BigInt beyond 64 bits', 2n ** 64n, 'c7100300000000000000010000000000000000'],
  ['Int16Array', new Int16Array([1, -1]), 'c705040401' + '00ffff'],
  ['Date', new Date(1500), 'd7ff7735940000000001'],
  ['Date before 1970', new Date(-1), 'c70cff3b8b87c0ffffffffffffffff'],
  ['invalid Date', new Date(NaN), 'c70008'],
  ['lone surrogate', '\ud800', 'c7020700d8'],
  ['Buffer', [Buffer.from([7])], '91c40107'],
])('%s is written as documented', (_what, value, hex) => {
  const { codecId, bytes } = encodeItem(value);
  expect(codecId).toBe(CODEC_MSGPACK);
  expect(Buffer.from(bytes).toString('hex')).toBe(hex);
  // Two invalid Dates are not equal to Node 20.
  if (value instanceof Date && Number.isNaN(value.getTime())) expect((roundTrip(value) as Date).getTime()).toBeNaN();
  else expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
});

test('the ids of the built-in codecs are frozen', () => {
  const bytes = Buffer.from([1]);
  expect([CODEC_RAW, CODEC_MSGPACK, CODEC_JSON, CODEC_V8]).toEqual([1, 2, 3, 4]);
  expect(encodeItem(bytes).codecId).toBe(1);
  expect(
    [encodeItem(1, 'msgpack'), encodeItem(1, 'json'), encodeItem(bytes, 'raw'), encodeItem(1, 'v8')].map(
      (e) => e.codecId,
    ),
  ).toEqual([2, 3, 1, 4]);
});

test('raw bytes pass through without a copy, and come as a Buffer over the bytes given', () => {
  const bytes = new Uint8Array([1, 2, 3]);
  expect(encodeItem(bytes).bytes).toBe(bytes);
  const decoded = decodeItem(CODEC_RAW, bytes) as Buffer;
  expect(Buffer.isBuffer(decoded)).toBe(true);
  expect(decoded.buffer).toBe(bytes.buffer);
  expect(decodeItem(CODEC_RAW, bytes, 1, 2)).toEqual(Buffer.from([2]));
  expect(() => encodeItem('text', 'raw')).toThrow(SerializationError);
});

function randomValue(random: Random, depth: number): unknown {
  const scalars = [
    () => random.below(2) === 0,
    () => null,
    () => undefined,
    () => random.below(2 ** 32) - 2 ** 31,
    () => (random.below(2 ** 32) / 7) * 10 ** (random.below(600) - 300),
    () => BigInt(random.below(2 ** 32)) ** BigInt(random.below(9)) * (random.below(2) === 0 ? 1n : -1n),
    () =>
      Array.from({ length: random.below(50) }, () =>
        random.pick(['a', 'é', '日', '👍', '\0', '\ud800', '\udc00']),
      ).join(''),
    () => 'x'.repeat(random.pick([31, 32, 255, 256, 65535, 65536])),
    () => new Date(random.below(2 ** 32) * random.pick([1, -1, 1000, 100000])),
    () => Buffer.from(Array.from({ length: random.below(300) }, () => random.below(256))),
    () => new Float32Array([random.below(100) / 3]),
    () => new BigInt64Array([BigInt(random.below(100)), -1n]),
  ];
  const kinds = depth > 4 ? scalars.length : scalars.length + 4;
  const kind = random.below(kinds);
  const many = <T>(make: () => T): T[] => Array.from({ length: random.below(depth === 0 ? 40 : 5) }, make);
  const inner = (): unknown => randomValue(random, depth + 1);
  switch (kind - scalars.length) {
    case 0:
      return many(inner);
    case 1:
      return Object.fromEntries(
        many(() => [random.pick(['a', 'b', '__proto__', 'constructor', 'ключ', '', '7']) + random.below(9), inner()]),
      );
    case 2:
      return new Map(many(() => [inner(), inner()]));
    case 3:
      return new Set(many(inner));
    default:
      return (scalars[kind] as () => unknown)();
  }
}

test('whatever goes in comes out, by copy and by span', () => {
  const random = seeded('codec round trips');
  for (let round = 0; round < 3000; round++) {
    const value = randomValue(random, 0);
    const { codecId, buffer, start, end } = encodeItemSpan(value);
    const bySpan = decodeItem(codecId, buffer, start, end);
    const expected = value instanceof Uint8Array ? Buffer.from(value) : value;
    if (!isDeepStrictEqual(bySpan, expected) || !isDeepStrictEqual(roundTrip(value), expected)) {
      throw new Error(`round ${round} came out different`);
    }
    if (typeof value === 'object' && value !== null && value.constructor === Object) {
      expect(Object.keys(bySpan as object)).toEqual(Object.keys(value));
    }
  }
});

test('keys come out whichever came before: many, of every length, in any alphabet, at the end of the memory', () => {
  const random = seeded('keys');
  const letters = [...'abcxyz_$09é日😀\u0000'];
  const text = (): string => Array.from({ length: random.below(30) }, () => random.pick(letters)).join('');
  const keys = Array.from({ length: 2500 }, text).filter((key) => key !== '__proto__');
  for (let round = 0; round < 5000; round++) {
    // The same objects again and again, and now and then another.
    const from = round % 10 === 0 ? random.below(keys.length) : 3 * (round % 4);
    const item = Object.fromEntries(keys.slice(from, from + random.below(20)).map((key, at) => [key, at]));
    const { codecId, bytes } = encodeItem(item);
    expect(decodeItem(codecId, bytes)).toEqual(item);
  }
});

test('random bytes decode to a value or a SerializationError that carries them', () => {
  const random = seeded('codec fuzz');
  const valid = Buffer.from(
    encodeItem({ map: new Map([[1, new Set(['x'])]]), date: new Date(0), big: 2n ** 70n, list: [1, 'abc'] }).bytes,
  );
  for (let round = 0; round < 30_000; round++) {
    const bytes =
      round % 2 === 0
        ? Buffer.from(valid)
        : Buffer.from(Array.from({ length: 1 + random.below(40) }, () => random.below(256)));
    bytes[random.below(bytes.length)] = random.below(256);
    try {
      decodeItem(CODEC_MSGPACK, bytes);
    } catch (error) {
      if (!(error instanceof SerializationError)) throw error;
      expect(error.codecId).toBe(CODEC_MSGPACK);
      expect(error.bytes?.length).toBe(bytes.length);
    }
  }
});

test.each(['auto', 'json', 'v8'])('__proto__ is a key like any other to %s', (codec) => {
  const item = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":2,"list":[{"__proto__":{"polluted":1}}]}',
  ) as object;
  const arrived = roundTrip(item, codec) as { polluted?: unknown; list: { polluted?: unknown }[] };
  expect(Object.keys(arrived)).toEqual(['__proto__', 'constructor', 'list']);
  expect([arrived.polluted, arrived.list[0]!.polluted, ({} as typeof arrived).polluted]).toEqual(
    Array(3).fill(undefined),
  );
});

test('forged lengths and endless nesting are refused without a large allocation', () => {
  for (const hex of ['ddffffffff', 'dfffffffff', 'c6ffffffff00', 'dbffffffff00', 'c9ffffffff01', 'c9ffffffff0400']) {
    expect(() => decodeItem(CODEC_MSGPACK, Buffer.from(hex, 'hex'))).toThrow(SerializationError);
  }
  for (const byte of [0x91, 0x81, 0xc9])
    expect(() => decodeItem(CODEC_MSGPACK, Buffer.alloc(200_000, byte))).toThrow(SerializationError);
});

test.each([
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a function in an object', { a: { b: () => 1 } }],
  ['a symbol in a Map key', new Map([[Symbol('s'), 1]])],
  ['a Promise', Promise.resolve(1)],
  ['a WeakMap', { weak: new WeakMap() }],
])('%s is refused by every codec', (_what, value) => {
  for (const codec of ['auto', 'msgpack', 'v8', 'raw'])
    expect(() => encodeItem(value, codec)).toThrow(SerializationError);
});

test('json refuses what JSON would drop or change', () => {
  for (const value of [() => 1, { a: Symbol('s') }, new Map(), [NaN], undefined, 1n]) {
    expect(() => encodeItem(value, 'json')).toThrow(SerializationError);
  }
  expect(roundTrip({ a: [1, 'é', null] }, 'json')).toEqual({ a: [1, 'é', null] });
});

test('cycles and values nested too deep are refused, except by v8', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = { again: [cycle] };
  expect(() => encodeItem(cycle)).toThrow('contains itself');
  const copy = roundTrip(cycle, 'v8') as typeof cycle;
  expect((copy.self as { again: unknown[] }).again[0]).toBe(copy);
  let deep: unknown = 1;
  for (let i = 0; i < 900; i++) deep = new Map([['deeper', [deep]]]);
  expect(() => encodeItem(deep)).toThrow('nested deeper');
});

test('after a refusal the next item is whole', () => {
  expect(() => encodeItem(['begun', () => 1])).toThrow(SerializationError);
  expect(roundTrip(['whole'])).toEqual(['whole']);
});

test('a getter or toJSON that encodes an item itself does not disturb the outer one', () => {
  const item = { before: 'a', toJSON: undefined, get inner() { return roundTrip(['nested']); }, after: 'z' }; // prettier-ignore
  expect(roundTrip(item)).toEqual({ before: 'a', toJSON: undefined, inner: ['nested'], after: 'z' });
});

test('errors, instances and descriptors', () => {
  class Point {
    x = 1;
  }
  expect(roundTrip(new Point())).toEqual({ x: 1 });
  expect(roundTrip(new URL('http://localhost/'))).toBe('http://localhost/');
  const error = roundTrip(Object.assign(new TypeError('bad', { cause: [1] }), { code: 'E' })) as TypeError & {
    code: string;
  };
  expect(error).toBeInstanceOf(TypeError);
  expect([error.message, error.cause, error.code]).toEqual(['bad', [1], 'E']);
  const descriptor = QueueDescriptor.createRpcQueue('h', 1);
  expect((roundTrip([descriptor]) as QueueDescriptor[])[0]?.equals(descriptor)).toBe(true);
});

test('custom codecs', () => {
  const reversed = { name: 'reversed', id: 200, encode: (v: unknown) => Buffer.from([...String(v)].reverse().join('')), decode: (b: Uint8Array) => [...Buffer.from(b).toString()].reverse().join('') }; // prettier-ignore
  registerCodec(reversed);
  registerCodec({ ...reversed });
  expect(encodeItem('abc', 'reversed').codecId).toBe(200);
  expect(roundTrip('abc', 'reversed')).toBe('abc');
  for (const id of [0, 1, 15, 256, 16.5, NaN])
    expect(() => registerCodec({ ...reversed, name: 'other', id })).toThrow(RangeError);
  for (const name of ['auto', 'json', 'reversed'])
    expect(() => registerCodec({ ...reversed, name, id: 201 })).toThrow(TypeError);
  expect(() => registerCodec({ ...reversed, name: 'other' })).toThrow(TypeError);
  expect(() => registerCodec(null as never)).toThrow(TypeError);
  expect(() => encodeItem(1, 'none')).toThrow(/none.*msgpack/);
  expect(() => decodeItem(99, Buffer.from('x'))).toThrow(SerializationError);
});
