/** What a class of the program's says of its contents is not asked; what shows nothing any more is refused, not sent empty. */
import { registerCodec, SerializationError } from '../../lib';
import { CODEC_RAW, decodeItem, encodeItem } from '../../lib/codec/registry';
import type { ItemCodec } from '../../lib/codec/registry';
import { codecOfSchema, StructCodec } from '../../lib/codec/struct/codec';
import { ItemBatch } from '../../lib/transports/rpc/wire/item-batch';
import { readPickle } from '../../lib/transports/ray/pickle/convert';
import { PickleError } from '../../lib/transports/ray/pickle/types';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import { ndarray } from '../../lib/ray';

const passed = (item: unknown, codec: ItemCodec = 'auto'): unknown => {
  const { codecId, bytes } = encodeItem(item, codec);
  return decodeItem(codecId, bytes);
};
const pickled = (item: unknown): unknown => readPickle(writePickle(item));

/** As an instance of a class that says `said` of itself. */
const saying = <T extends object>(value: T, said: PropertyDescriptorMap): T =>
  Object.setPrototypeOf(value, Object.create(Object.getPrototypeOf(value) as object, said) as object) as T;
const get = (said: unknown): PropertyDescriptor => ({ get: () => said });
const says = (said: unknown): PropertyDescriptor => ({ value: () => said });
const nothing = { value: function* () {} };

const liars: [string, () => object, unknown][] = [
  ['a Map that says it is smaller', () => saying(new Map([[1, 2], [3, 4]]), { size: get(1) }), new Map([[1, 2], [3, 4]])], // prettier-ignore
  ['a Map that shows nothing', () => saying(new Map([[1, 2]]), { [Symbol.iterator]: nothing, entries: nothing }), new Map([[1, 2]])], // prettier-ignore
  ['a Set that says it is empty', () => saying(new Set([1, 2]), { size: get(0) }), new Set([1, 2])],
  ['a Set that shows nothing', () => saying(new Set([1, 2]), { [Symbol.iterator]: nothing, values: nothing }), new Set([1, 2])], // prettier-ignore
  ['a Date that says another time', () => saying(new Date(5), { getTime: says(0), getUTCFullYear: says(1999) }), new Date(5)], // prettier-ignore
  ['a Number that says another one', () => saying(Object(7) as object, { valueOf: says(1) }), 7],
  ['a String that says another one', () => saying(Object('text') as object, { valueOf: says(''), toString: says('') }), 'text'], // prettier-ignore
];

test.each(liars)('%s arrives as what it is', (_what, make, expected) => {
  expect(passed(make())).toEqual(expected);
  expect(passed([{ deep: make() }])).toEqual([{ deep: expected }]);
  expect(pickled([make()])).toEqual([expected]);
});

test('a Boolean, a BigInt and a Symbol that say something else are what they are', () => {
  expect(passed([false, 7n].map((value) => saying(Object(value) as object, { valueOf: says(1) })))).toEqual([
    false,
    7n,
  ]);
  expect(() => passed(Object(Symbol('no')))).toThrow('a symbol');
});

const PLACE = { length: get(1), byteLength: get(1), byteOffset: get(0), buffer: get(new ArrayBuffer(1)) };

test('views that say something else of their place arrive as the bytes that they have', () => {
  const { buffer } = Uint8Array.from({ length: 32 }, (_, index) => index);
  for (const make of [
    () => new Uint8Array(buffer, 8, 16),
    () => new Float64Array(buffer, 8, 2),
    () => new DataView(buffer, 8, 16),
    () => Buffer.from(buffer, 8, 16),
  ]) {
    expect(passed([saying(make(), PLACE)])).toEqual([make()]);
  }
  const seen = (value: unknown): string => Buffer.from(value as Uint8Array).toString('hex');
  expect(seen(pickled(saying(new Uint8Array(buffer, 8, 16), PLACE)))).toBe(seen(new Uint8Array(buffer, 8, 16)));
  const sent = ItemBatch.kept({
    codecId: CODEC_RAW,
    bytes: saying(new Uint8Array(buffer, 8, 16), { byteLength: get(32) }),
  });
  expect(sent.byteLength).toBe(16);
});

test('where something is refused its place is found in a Map and a Set that show nothing', () => {
  const map = saying(new Map([[1, { deep: () => 1 }]]), { [Symbol.iterator]: nothing });
  const set = saying(new Set([map]), { [Symbol.iterator]: nothing });
  expect(() => passed([set])).toThrow('[0]<entry 0><value 0>.deep');
});

/** Node 20 has it, the types do not. */
const resizable = (bytes: number): ArrayBuffer & { resize(bytes: number): void } =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => ReturnType<typeof resizable>)(bytes, {
    maxByteLength: 64,
  });
const shrunk = <T>(make: (memory: ArrayBuffer) => T): T => {
  const memory = resizable(32);
  const view = make(memory);
  memory.resize(8);
  return view;
};
const transferred = <T>(make: (memory: ArrayBuffer) => T): T => {
  const memory = new ArrayBuffer(32);
  const view = make(memory);
  structuredClone(memory, { transfer: [memory] });
  return view;
};

const views: [string, (memory: ArrayBuffer) => ArrayBufferView][] = [
  ['a Uint8Array', (memory) => new Uint8Array(memory, 8, 8)],
  ['a Buffer', (memory) => Buffer.from(memory, 8, 8)],
  ['a Float64Array', (memory) => new Float64Array(memory, 8, 1)],
  ['a Float64Array to the end', (memory) => new Float64Array(memory, 16)],
  ['a DataView', (memory) => new DataView(memory, 8, 8)],
];
const refusal = 'whose memory was transferred away, or became too short for it';

describe.each([
  ['shrunk', shrunk],
  ['transferred', transferred],
])('of memory that was %s', (_how, from) => {
  test.each(views)('%s is refused, alone and in other values', (_name, make) => {
    const view = from(make);
    for (const item of [view, { a: [view] }, new Map([[1, view]])]) {
      for (const codec of ['auto', 'v8'] as const) {
        expect(() => passed(item, codec)).toThrow(SerializationError);
        expect(() => passed(item, codec)).toThrow(refusal);
      }
      expect(() => writePickle(item)).toThrow(PickleError);
      expect(() => writePickle(item)).toThrow(refusal);
    }
  });

  test('it is refused in a field of a schema', () => {
    const view = from((memory) => new Uint8Array(memory, 8, 8));
    const codec = codecOfSchema({ own: 'bytes', any: 'any' });
    for (const one of [codec, new StructCodec(codec.node, true)]) {
      expect(passed({ own: new Uint8Array(0), any: new Uint8Array(0) }, one)).toMatchObject({ own: { length: 0 } });
      for (const item of [
        { own: view, any: 1 },
        { own: Buffer.from('x'), any: view },
        { own: Buffer.from('x'), any: [view] },
      ])
        // prettier-ignore
        expect(() => passed(item, one)).toThrow(SerializationError);
    }
  });

  test('it is refused where a codec of the program makes it, and in an array of NumPy', () => {
    const bytes = from((memory) => new Uint8Array(memory, 8, 8));
    registerCodec({ name: 'cut', id: 99, encode: () => bytes, decode: (all) => all });
    expect(() => passed(1, 'cut')).toThrow(refusal);
    const array = from((memory) => ndarray(new Float64Array(memory, 8, 1), [1]));
    expect(() => writePickle(array)).toThrow(refusal);
  });
});

test('what shows the rest of its memory, and what is empty, is sent', () => {
  const memory = resizable(32);
  const rest = new Uint8Array(memory, 8);
  memory.resize(12);
  expect(passed({ rest })).toEqual({ rest: new Uint8Array(4) });
  expect((passed(rest) as Uint8Array).length).toBe(4);
  memory.resize(8);
  expect((passed(rest) as Uint8Array).length).toBe(0);
  for (const codec of ['auto', 'v8'] as const)
    expect(passed([new DataView(memory, 8), new Float64Array(0)], codec)).toEqual([new DataView(new ArrayBuffer(0)), new Float64Array(0)]); // prettier-ignore
  memory.resize(4);
  expect(() => passed(rest)).toThrow(refusal);
});
