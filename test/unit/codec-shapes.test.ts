/** Objects whose keys come again and again, for which functions are made: they are written and read as all others are. */
import { inspect, isDeepStrictEqual } from 'node:util';
import type * as Compile from '../../lib/codec/compile';
import { ShapeTable } from '../../lib/codec/msgpack/shapes';
import type * as Registry from '../../lib/codec/registry';
import { seeded } from '../random';
import type { Random } from '../random';

type Codecs = typeof Registry;

/** A list of keys that came so often has its function. */
const OFTEN = 600;
const CODEC_MSGPACK = 2;

let made = 0;
let refused = 0;

/** Codecs that have learnt nothing yet. */
function freshCodecs(mayCompile: boolean): Codecs {
  let codecs: Codecs | undefined;
  jest.isolateModules(() => {
    jest.doMock('../../lib/codec/compile', () => {
      const { compile } = jest.requireActual<typeof Compile>('../../lib/codec/compile');
      const counted = (scope: object, code: string): unknown => (made++, compile(scope, code));
      return { compile: mayCompile ? counted : () => void refused++ };
    });
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a copy of its own
    codecs = require('../../lib/codec/registry') as Codecs;
  });
  return codecs as Codecs;
}

let learning: Codecs;
let plain: Codecs;
beforeEach(() => {
  made = refused = 0;
  learning = freshCodecs(true);
  plain = freshCodecs(false);
});

const bytesOf = (codecs: Codecs, item: unknown): Buffer => Buffer.from(codecs.encodeItem(item).bytes);
const itemOf = (codecs: Codecs, bytes: Buffer): unknown => codecs.decodeItem(CODEC_MSGPACK, bytes);

/** Has both directions learn the keys of the item. */
function learn(item: unknown): void {
  for (let i = 0; i < OFTEN; i++) itemOf(learning, bytesOf(learning, item));
}

/** Two invalid Dates are not equal to Node 20. */
const isSame = (a: unknown, b: unknown): boolean =>
  isDeepStrictEqual(a, b) || inspect(a, { depth: 99 }) === inspect(b, { depth: 99 });

/** Written and read with what was learnt, and without. Returns what arrives. */
function passed(item: unknown): unknown {
  const bytes = bytesOf(learning, item);
  const expected = bytesOf(plain, item);
  if (!bytes.equals(expected)) expect(bytes.toString('hex')).toBe(expected.toString('hex'));
  const arrived = itemOf(learning, bytes);
  const other = itemOf(plain, bytes);
  if (!isSame(arrived, other)) expect(arrived).toEqual(other);
  if (typeof item === 'object' && item !== null)
    expect(Object.keys(arrived as object)).toEqual(Object.keys(other as object));
  return arrived;
}

function randomValue(random: Random, depth = 0): unknown {
  const scalars = [
    true,
    false,
    null,
    undefined,
    0,
    -0,
    7,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
  ];
  const others = [-1, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 40), 2 ** 53, 0.5, NaN, Infinity, 3n];
  const texts = ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'é', 'grün', '日本', '\ud800', '\ufffd', 'x'.repeat(300)];
  const inner = (): unknown => (depth > 2 ? 1 : randomValue(random, depth + 1));
  return random.pick<() => unknown>([
    () => random.pick(scalars),
    () => random.pick(others),
    () => random.pick(texts),
    () => `word ${random.below(200)}`,
    () => new Date(random.below(2 ** 32)),
    () => Buffer.from([1, 2, 3]),
    () => new Map([[inner(), inner()]]),
    () => Array.from({ length: random.below(20) }, inner),
    () => ({ x: inner(), y: inner() }),
  ])();
}

const lists = [
  ['id', 'name', 'value'],
  ['id', 'name', 'other'],
  ['id', 'name', 'value', 'more'],
  ['value', 'name', 'id'],
  ['x', 'y'],
  ['é', '日本', 'constructor', 'toString', '', 'it\'s "quoted"\u2028\\'],
  Array.from({ length: 32 }, (_, at) => `field ${at}`),
];
const objectOf = (keys: readonly string[], value: () => unknown): Record<string, unknown> =>
  Object.fromEntries(keys.map((key) => [key, value()]));

test('items of many kinds are the same bytes, and the same items, before and after their keys are known', () => {
  const random = seeded('shapes');
  const some = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) passed(objectOf(random.pick(lists), () => randomValue(random)));
  };
  some(20);
  expect(made).toBe(0);
  for (const keys of lists) learn(objectOf(keys, () => randomValue(random)));
  expect(made).toBeGreaterThan(lists.length);
  some(800);
});

test('hostile bytes give what they give where no function is made', () => {
  const random = seeded('shapes fuzz');
  for (const keys of lists) learn(objectOf(keys, () => 1));
  expect(made).toBeGreaterThan(lists.length);
  const outcome = (codecs: Codecs, bytes: Buffer): unknown => {
    try {
      return itemOf(codecs, bytes);
    } catch (error) {
      if ((error as Error).name !== 'SerializationError') throw error;
      return (error as Error).message;
    }
  };
  for (let round = 0; round < 3000; round++) {
    const bytes = bytesOf(
      plain,
      objectOf(random.pick(lists), () => randomValue(random)),
    );
    for (let times = random.below(3); times > 0; times--) bytes[random.below(bytes.length)] = random.below(256);
    // The memory goes on behind the item.
    const end = random.below(3) === 0 ? random.below(bytes.length) : bytes.length;
    const [found, expected] = [learning, plain].map((codecs) => outcome(codecs, bytes.subarray(0, end)));
    if (!isSame(found, expected)) throw new Error(`round ${round}: ${bytes.subarray(0, end).toString('hex')}`);
  }
});

test('another key where one was expected, one twice, and one less', () => {
  learn({ a: 1, b: [2], c: 'three' });
  for (const hex of ['83a16101a16202a16403', '83a16101a1620201ff']) {
    const bytes = Buffer.from(hex, 'hex');
    expect(itemOf(learning, bytes)).toEqual(itemOf(plain, bytes));
  }
  for (const hex of ['83a16101a16101a16303', '83a16102a16203a16204', '83a16101a16202a16103', '82a16101a16102'])
    for (const codecs of [learning, plain])
      expect(() => itemOf(codecs, Buffer.from(hex, 'hex'))).toThrow('a key twice');
  // Among so many there are some whose place is the same.
  for (let i = 0; i < 1000; i++) passed({ a: 1, b: 2, c: 3, [String.fromCharCode(33 + i)]: 4 });
  for (const hex of ['83a16101a162', '83a16101a16202a163', '83a16101', '83a161'])
    for (const codecs of [learning, plain])
      expect(() => itemOf(codecs, Buffer.from(hex, 'hex'))).toThrow('in the middle of a value');
});

test('an object that only looks like one whose keys are known goes as what it is', () => {
  class Point {
    x = 1;
    y = 2;
  }
  class Named extends Point {
    toJSON(): string {
      return 'named';
    }
  }
  learn({ x: 1, y: 2 });
  expect(passed(new Point())).toEqual({ x: 1, y: 2 });
  expect(passed(new Named())).toBe('named');
  expect(passed(Object.assign(Object.create(null) as object, { x: 3, y: 4 }))).toEqual({ x: 3, y: 4 });
  const dated = Object.assign(new Date(0), { x: 1, y: 2 });
  for (const codecs of [learning, plain]) expect(() => codecs.encodeItem(dated)).toThrow('property of its own');
  const asked: string[] = [];
  const proxy = new Proxy(
    { x: 5, y: 6 },
    { get: (target, key) => (asked.push(String(key)), Reflect.get(target, key)) },
  );
  expect(itemOf(plain, bytesOf(learning, proxy))).toEqual({ x: 5, y: 6 });
  expect(asked).toEqual(['x', 'y']);
});

test('what Object.prototype has is not sent', () => {
  learn({ x: 1, inherited: 2 });
  const { prototype } = Object as unknown as { prototype: { inherited?: number } };
  prototype.inherited = 9;
  try {
    expect(Object.keys(passed({ x: 1 }) as object)).toEqual(['x']);
  } finally {
    delete prototype.inherited;
  }
});

test('getters run once, in their order, and may take away what comes later or encode an item themselves', () => {
  learn({ a: 1, b: 2, c: 3 });
  const asked: string[] = [];
  const item: Record<string, unknown> = {
    get a() {
      asked.push('a');
      return bytesOf(learning, { a: 4, b: 5, c: 6 }).length;
    },
    get b() {
      asked.push('b');
      delete item.c;
      return 'b';
    },
    c: 3,
  };
  expect(itemOf(plain, bytesOf(learning, item))).toEqual({ a: 10, b: 'b', c: undefined });
  expect(asked).toEqual(['a', 'b']);
});

test('a getter of an instance runs as often, and no toJSON runs one, once its keys are those of known objects', () => {
  class Counting {
    declare reads: number;
    constructor() {
      Object.defineProperty(this, 'reads', { value: 0, writable: true });
      Object.defineProperty(this, 'id', { enumerable: true, get: () => ++this.reads });
      Object.defineProperty(this, 'name', { enumerable: true, value: 'n' });
    }
  }
  class Named extends Counting {
    toJSON(): unknown {
      return { name: 'said' };
    }
  }
  learn({ id: 1, name: 'n' });
  for (const codecs of [plain, learning]) {
    const item = new Counting();
    expect(itemOf(codecs, bytesOf(codecs, item))).toEqual({ id: 1, name: 'n' });
    expect(item.reads).toBe(1);
    const other = new Named();
    expect(itemOf(codecs, bytesOf(codecs, other))).toEqual({ name: 'said' });
    expect(other.reads).toBe(0);
  }
});

test('a key given twice is refused, whatever keys a map beside it has', () => {
  // {a: {1: 0}, a: 1}, and the same where 1 stands beside a.
  const beside = Buffer.from([0x82, 0xa1, 0x61, 0x81, 0x01, 0x00, 0xa1, 0x61, 0x01]);
  const among = Buffer.from([0x83, 0xa1, 0x61, 0x00, 0xa1, 0x61, 0x01, 0x01, 0x00]);
  learn({ a: 1, b: 2 });
  for (const codecs of [plain, learning]) {
    expect(() => itemOf(codecs, beside)).toThrow('a key twice');
    expect(() => itemOf(codecs, among)).toThrow('a key twice');
  }
});

test('keys that no literal can name stay what they are, however often they come', () => {
  const pollute = JSON.parse('{"a":1,"__proto__":{"polluted":1}}') as object;
  for (const item of [pollute, { b: 1, 7: 2, a: 3 }, { ['x'.repeat(40)]: 1 }, { '\ud800': 1 }]) {
    learn(item);
    const arrived = passed(item) as { polluted?: unknown };
    expect(Object.keys(arrived)).toEqual(Object.keys(item));
    expect([arrived.polluted, ({} as typeof arrived).polluted]).toEqual([undefined, undefined]);
  }
  // Of the object with the key `polluted` alone.
  expect(made).toBe(2);
});

test('there is room for every value, wherever in the memory an item begins and whatever came before it', () => {
  const keys = lists.at(-1)!;
  learn(objectOf(keys, () => 1));
  const before = made;
  for (let round = 0; round < 2000; round++) {
    // The first ones take the room that was made for all, so that the others need room of their own.
    const long = round % 100 === 0 ? 70_000 : 80 + (round % 71);
    const item = objectOf(keys, () => '');
    for (const [at, key] of keys.entries()) item[key] = 'x'.repeat(at < 16 ? long : 31);
    expect(isDeepStrictEqual(itemOf(plain, bytesOf(learning, item)), item)).toBe(true);
  }
  expect([before, made]).toEqual([2, 2]);
});

const below = (levels: number, call: () => unknown): unknown => (levels === 0 ? call() : below(levels - 1, call));
function stackDepth(): number {
  let levels = 1000;
  try {
    for (;;) below((levels += 100), () => 0);
  } catch {
    return levels;
  }
}

test('objects of known keys may lie as deep as others', () => {
  const keys = lists.at(-1)!;
  const nested = (levels: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level++) value = { ...objectOf(keys, () => level), [keys[7]!]: value };
    return value;
  };
  for (let i = 0; i < OFTEN / 20; i++) itemOf(learning, bytesOf(learning, nested(20)));
  expect(made).toBe(2);
  const deepest = nested(999);
  const bytes = bytesOf(plain, deepest);
  // From a third of the stack on.
  const [written, read] = below(Math.floor(stackDepth() / 3), () => [
    bytesOf(learning, deepest),
    itemOf(learning, bytes),
  ]) as [Buffer, unknown];
  expect(written.equals(bytes)).toBe(true);
  expect(isDeepStrictEqual(read, deepest)).toBe(true);
});

test('ever new keys have so many functions made and no more', () => {
  for (let list = 0; list < 120; list++) learn({ [`key ${list}`]: 1, [`other ${list % 7}`]: 2 });
  expect(made).toBe(2 * 64);
  expect(passed({ 'key 119': 3, 'other 0': 4 })).toEqual({ 'key 119': 3, 'other 0': 4 });
});

test('a list of keys gives way to one that comes where it came no more', () => {
  // As many of them as places have several to themselves.
  const items = Array.from({ length: 40 }, (_, at) => ({ a: at, [`b${at}`]: 1, c: 2 }));
  for (const item of items) for (let i = 0; i < 2; i++) learn(item);
  const before = made;
  expect(before).toBeGreaterThan(items.length);
  learn(items[0]);
  expect(passed(items[0])).toEqual(items[0]);
});

test('a list with a key too long for a function is not kept', () => {
  const table = new ShapeTable(() => undefined);
  table.met(3, ['a'.repeat(32), 'b']);
  expect(table.shapes[3]).toBeUndefined();
  table.met(3, ['a'.repeat(31), 'b']);
  expect(table.shapes[3]?.keys).toHaveLength(2);
  table.met(3, ['é'.repeat(16)]);
  expect(table.shapes[3]?.keys).toHaveLength(2);
});

test('of two lists with one place the first stays as long as it comes', () => {
  const [first, second] = [
    { axcd: 1, q: 2 },
    { aycd: 1, q: 2 },
  ];
  learn(first);
  for (let i = 0; i < OFTEN; i++) {
    passed(second);
    passed(first);
  }
  expect(made).toBe(2);
  learn(second);
  learn(second);
  expect(made).toBe(4);
});

test('where the process forbids code it is tried once', () => {
  for (const keys of lists)
    for (let i = 0; i < OFTEN; i++)
      itemOf(
        plain,
        bytesOf(
          plain,
          objectOf(keys, () => 1),
        ),
      );
  expect(refused).toBe(2);
});

test('words that came before are told from those that look like them', () => {
  const words = ['sensor-12', 'sensor-21', 'sensor-13', 'é', '\u00e9e', 'ab', 'ba', '', 'a', 'x'.repeat(31), '\ufffd'];
  for (let round = 0; round < 3; round++) expect(passed(words)).toEqual(words);
  // The byte that is the code of é, which is no UTF-8.
  expect(itemOf(learning, Buffer.from('a1e9', 'hex'))).toBe('\ufffd');
  expect(itemOf(learning, Buffer.from('a1e9', 'hex'))).toBe('\ufffd');
});
