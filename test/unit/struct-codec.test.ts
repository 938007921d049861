/** Items with a schema: the documented bytes, by generated code and without any, from friends and from anyone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect, isDeepStrictEqual } from 'node:util';
import { InvalidDescriptorError, QueueDescriptor, SerializationError } from '../../lib';
import { CODEC_STRUCT, decodeItem, encodeItem } from '../../lib/codec/registry';
import { codecOfSchema, StructCodec } from '../../lib/codec/struct/codec';
import { checkCompatible, parseSchema } from '../../lib/descriptor/schema';
import { seeded } from '../random';
import type { Random } from '../random';

const both = (schema: unknown): StructCodec[] => {
  const codec = codecOfSchema(schema);
  return [codec, new StructCodec(codec.node, true)];
};

const passed = (schema: unknown, item: unknown): unknown => {
  const [compiled, interpreted] = both(schema) as [StructCodec, StructCodec];
  const bytes = compiled.encode(item);
  expect(interpreted.encode(item).equals(bytes)).toBe(true);
  const { buffer, start, end } = compiled.encodeToSpan(item);
  expect(buffer.subarray(start, end).equals(bytes)).toBe(true);
  const value = decodeItem(CODEC_STRUCT, bytes);
  const again = interpreted.decode(bytes, 0, bytes.length);
  // Two invalid Dates are not equal to Node 20.
  expect(inspect(again, { depth: 99 })).toBe(inspect(value, { depth: 99 }));
  return value;
};

interface Vectors {
  schemas: { schema: unknown; text: string; id: number; items: { item: unknown; hex: string }[] }[];
}

/** What JSON has no word for, in the file as an object of one key. */
const revive = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  const { $bytes, $date, $int, $undefined } = value as Record<string, unknown>;
  if (typeof $bytes === 'string') return Buffer.from($bytes, 'hex');
  if (typeof $date === 'number') return new Date($date);
  if (typeof $int === 'string') return BigInt($int);
  return $undefined === true ? undefined : value;
};

const vectors = JSON.parse(readFileSync(join(__dirname, '../vectors/struct-items.json'), 'utf8'), revive) as Vectors;

test.each(vectors.schemas)('the documented bytes of $text', ({ schema, text, id, items }) => {
  const codec = codecOfSchema(schema);
  expect([codec.text, codec.id]).toEqual([text, id]);
  for (const { item, hex } of items) {
    expect(codec.encode(item).toString('hex')).toBe(hex);
    expect(isDeepStrictEqual(decodeItem(CODEC_STRUCT, Buffer.from(hex, 'hex')), item)).toBe(true);
    expect(isDeepStrictEqual(passed(schema, item), item)).toBe(true);
  }
});

const scalars = [
  'bool',
  'i8',
  'u8',
  'i16',
  'u16',
  'i32',
  'u32',
  'i64',
  'u64',
  'int',
  'f32',
  'f64',
  'string',
  'bytes',
  'date',
  'any',
];
const names = [
  'id',
  'z',
  'é',
  '日本',
  'constructor',
  'toString',
  'has"quote',
  "it's",
  '`${x}`',
  '*/',
  'a\nb',
  '\u2028',
  '7',
  '😀',
  '\uffff',
];

function randomSchema(random: Random, depth: number): unknown {
  const kind = depth > 2 ? 2 : random.below(4);
  if (kind === 0) return [randomSchema(random, depth + 1)];
  if (kind > 1) return random.pick(scalars);
  const fields = [...names].sort(() => random.below(3) - 1).slice(0, 1 + random.below(6));
  return Object.fromEntries(
    fields.map((name) => [random.below(3) === 0 ? `${name}?` : name, randomSchema(random, depth + 1)]),
  );
}

function randomItem(random: Random, schema: unknown): unknown {
  const integer = (bits: number, signed: boolean): number => {
    const span = 2 ** bits;
    const value = random.pick([0, 1, span / 2 - 1, span - 1, random.below(span)]);
    return signed && value >= span / 2 ? value - span : value;
  };
  const big = (): bigint => BigInt(random.below(2 ** 32)) * BigInt(random.below(2 ** 31));
  if (Array.isArray(schema)) return Array.from({ length: random.below(5) }, () => randomItem(random, schema[0]));
  if (typeof schema === 'object') {
    const entries = Object.entries(schema as object).filter(([name]) => !name.endsWith('?') || random.below(2) === 0);
    return Object.fromEntries(
      entries
        .sort(() => random.below(3) - 1)
        .map(([name, type]) => [name.replace(/\?$/, ''), randomItem(random, type), name.endsWith('?')] as const)
        .filter(([, value, optional]) => !optional || value !== undefined),
    );
  }
  switch (schema as string) {
    case 'bool':
      return random.below(2) === 0;
    case 'i64':
      return random.pick([big(), -big(), 2n ** 63n - 1n, -(2n ** 63n)]);
    case 'u64':
      return random.pick([big(), 2n ** 64n - 1n]);
    case 'int':
      return random.pick([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, random.below(2 ** 32) * 1000]);
    case 'f32':
      return random.pick([Math.fround(random.below(1000) / 7), -0, NaN, Infinity]);
    case 'f64':
      return random.pick([random.below(1000) / 7, -0, NaN, -Infinity, 5e-324]);
    case 'string':
      return random.pick(['', 'a', 'é', '日本', '\ufffd', 'x'.repeat(random.below(100)), '😀'.repeat(random.below(300)), 'y'.repeat(5000)]); // prettier-ignore
    case 'bytes':
      return Buffer.alloc(random.pick([0, 1, 63, 5000]), 7);
    case 'date':
      return new Date(random.below(2 ** 32) * 1000);
    case 'any':
      return random.pick([undefined, null, Buffer.from([1]), { deep: [new Map([[1, 2n]])] }, 'text', -0]);
    default: {
      const [, sign, bits] = /^([iu])(\d+)$/.exec(schema as string) as unknown as [string, string, string];
      return integer(Number(bits), sign === 'i');
    }
  }
}

test('whatever fits goes in and comes out, the same by generated code and without any', () => {
  const random = seeded('struct round trips');
  for (let round = 0; round < 100; round++) {
    const schema = randomSchema(random, 0);
    for (let item = 0; item < 3; item++) {
      const value = randomItem(random, schema);
      if (!isDeepStrictEqual(passed(schema, value), value))
        throw new Error(`round ${round}: ${JSON.stringify(schema)}`);
    }
  }
});

test('texts and bytes beyond every buffer', () => {
  const item = {
    a: ['é'.repeat(70_000), 'x'.repeat(200_000)],
    b: Buffer.alloc(300_000, 1),
    c: '😀'.repeat(40_000),
    d: 1,
  };
  expect(isDeepStrictEqual(passed({ a: ['string'], b: 'bytes', 'c?': 'string', d: 'u8' }, item), item)).toBe(true);
});

test('fields are laid out by name, whatever order an object has; objects have one order too', () => {
  const schema = { b: 'u8', a: 'string', 'c?': 'u8' };
  const [codec] = both(schema) as [StructCodec];
  expect(codec.encode({ c: 1, b: 2, a: 'x' })).toEqual(codec.encode({ a: 'x', c: 1, b: 2 }));
  expect(Object.keys(passed(schema, { c: 1, b: 2, a: 'x' }) as object)).toEqual(['a', 'b', 'c']);
  expect(codecOfSchema({ a: 'string', 'c?': 'u8', b: 'u8' })).toBe(codec);
});

const order = { id: 'u32', tags: ['string'], when: 'date', 'note?': 'string', 'deep?': { n: 'i64', 'm?': ['f32'] } };
const good = { id: 7, tags: ['a'], when: new Date(0) };

// prettier-ignore
test.each<[unknown, string]>([
  [{ ...good, tags: ['a', 'b', 7] }, 'tags[2]: string expected, found 7'],
  [{ ...good, id: -1 }, 'id: u32 expected, found -1'],
  [{ ...good, id: -0 }, 'id: u32 expected, found -0'],
  [{ ...good, id: 1.5 }, 'id: u32 expected, found 1.5'],
  [{ ...good, id: 2 ** 32 }, 'id: u32 expected, found 4294967296'],
  [{ ...good, id: '7' }, 'id: u32 expected, found "7"'],
  [{ tags: [], when: good.when }, 'id: u32 expected, found undefined'],
  [{ ...good, when: 0 }, 'when: date expected, found 0'],
  [{ ...good, note: null }, 'note: string expected, found null'],
  [{ ...good, note: '\ud800' }, 'note: string expected, found one with a lone surrogate'],
  [{ ...good, deep: { n: 1 } }, 'deep.n: i64 expected, found 1'],
  [{ ...good, deep: { n: 2n ** 63n } }, 'deep.n: i64 expected, found the BigInt 9223372036854775808n'],
  [{ ...good, deep: { n: 1n, m: [1, 1e300] } }, 'deep.m[1]: f32 expected, found 1e+300'],
  [{ ...good, tags: 'a' }, 'tags: list expected, found "a"'],
  [{ ...good, tags: new Array(2) }, 'tags[0]: string expected, found undefined'],
  [{ ...good, tags: Object.assign(['a'], { extra: 1 }) }, 'tags.extra: no such field is in the list'],
  [{ ...good, extra: 1 }, 'extra: no such field is in the schema'],
  [{ ...good, when: Object.assign(new Date(0), { extra: 1 }) }, 'when: date expected, found an object'],
  [[good], 'object expected, found an array'],
  [null, 'object expected, found null'],
  [JSON.parse('{"id":7,"tags":[],"__proto__":1}'), 'id: u32'],
])('what does not fit is refused with its path: case %#', (item, message) => {
  const found = (item as { tags?: unknown[] } | null)?.tags?.length === 0 ? /when: date|__proto__|id: u32/ : message;
  for (const codec of both(order)) {
    expect(() => codec.encode(item)).toThrow(found);
    expect(() => codec.encodeToSpan(item)).toThrow(SerializationError);
    expect(() => codec.check(item)).toThrow(found);
    expect(decodeItem(CODEC_STRUCT, codec.encode(good))).toEqual(good);
  }
});

test('a field without a value is no field, and names of Object.prototype are names', () => {
  expect(passed(order, { ...good, note: undefined, extra: undefined })).toEqual(good);
  const odd = { 'constructor?': 'u8', 'toString?': 'string', hasOwnProperty: 'any' };
  expect(passed(odd, {})).toEqual({ hasOwnProperty: undefined });
  expect(passed(odd, { toString: 'text', hasOwnProperty: 1 })).toEqual({ toString: 'text', hasOwnProperty: 1 });
  class Point {
    get x(): number {
      return 1;
    }
    y = 2;
  }
  expect(passed({ x: 'u8', y: 'u8' }, new Point())).toEqual({ x: 1, y: 2 });
});

test('a getter that encodes another item, or none, disturbs nothing', () => {
  const item = { get id() { passed(order, good); encodeItem({ a: 1 }); return 7; }, tags: ['t'.repeat(100)], when: new Date(1) }; // prettier-ignore
  expect(passed(order, item)).toEqual({ id: 7, tags: ['t'.repeat(100)], when: new Date(1) });
});

describe('a schema', () => {
  test.each([
    null, 7, 'int32', [], ['u8', 'u8'], {}, { a: 'b' }, { a: { b: [null] } }, { a: 'u8', 'a?': 'u8' }, { '': 'u8' }, { '?': 'u8' },
    { 'a??': 'u8' }, JSON.parse('{"__proto__":"u8"}'), JSON.parse('{"__proto__?":"u8"}'), { '\ud800': 'u8' },
    Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}?`, 'u8'])),
    { ['x'.repeat(70_000)]: 'u8' },
    (() => { let deep: unknown = 'u8'; for (let i = 0; i < 70; i++) deep = [deep]; return deep; })(),
  ])('is none: case %#', (schema) => {
    expect(() => parseSchema(schema)).toThrow(InvalidDescriptorError);
    expect(() => QueueDescriptor.createSageQueue('q', { schema: schema as 'u8' | undefined, maxsize: 1 }).metadata.schema ?? parseSchema(schema)).toThrow(InvalidDescriptorError);
  }); // prettier-ignore

  test('travels in the descriptor, and excludes a codec', () => {
    const made = QueueDescriptor.createSageQueue('q', { schema: order as never });
    expect(QueueDescriptor.fromJSON(JSON.stringify(made)).metadata.schema).toEqual(order);
    expect(() => QueueDescriptor.createShmQueue('q', 'n', { schema: 'u8', codec: 'json' })).toThrow(/leave codec out/);
  });

  test('may gain optional fields: both sides read both, at any depth', () => {
    const older = { id: 'u8', list: [{ a: 'u8' }] };
    const newer = { id: 'u8', list: [{ a: 'u8', 'b?': 'string' }], 'note?': { x: 'f64' }, 'more?': ['u8'] };
    const other = { id: 'u8', list: [{ a: 'u8', 'b?': 'i32' }] };
    const [old] = both(older) as [StructCodec];
    const made = [newer, other].map((schema) => new StructCodec(parseSchema(schema)));
    expect(new Set([old.id, ...made.map(({ id }) => id)]).size).toBe(1);
    const item = { id: 1, list: [{ a: 1, b: 'x' }], note: { x: 1.5 }, more: [1] };
    const bytes = made[0]!.encode(item);
    const stripped = { id: 1, list: [{ a: 1 }] };
    for (const reader of [old, made[1]!, new StructCodec(old.node, true)])
      expect(reader.decode(bytes, 0, bytes.length)).toEqual(stripped);
    const plain = old.encode(stripped);
    expect(made[0]!.decode(plain, 0, plain.length)).toEqual(stripped);
    // Whoever knows both in one thread reads both.
    both(newer);
    expect(decodeItem(CODEC_STRUCT, bytes)).toEqual(item);
    expect(() => checkCompatible(parseSchema(older), parseSchema(newer), 'q')).not.toThrow();
  });

  test.each<[unknown, unknown, string]>([
    [{ a: 'u8' }, { a: 'u16' }, 'a is u8, asked for is u16'],
    [{ a: 'u8' }, { a: 'u8', b: 'u8' }, 'b is required'],
    [{ a: 'u8', b: 'u8' }, { a: 'u8' }, 'b is required'],
    [{ a: 'u8' }, { 'a?': 'u8' }, 'a is required'],
    [{ a: 'u8', 'n?': 'u8' }, { a: 'u8', 'n?': 'string' }, 'n is u8'],
    [{ l: [{ a: 'u8' }] }, { l: [{ a: 'u8', c: 'u8' }] }, 'l[].c is required'],
    ['u8', ['u8'], 'the item is u8, asked for is list'],
  ])('%j and %j do not go together', (existing, asked, message) => {
    expect(() => checkCompatible(parseSchema(existing), parseSchema(asked), 'q')).toThrow(
      expect.objectContaining({ code: 'ERR_QUEUE_CONFIG_MISMATCH', message: expect.stringContaining(message) }),
    );
  });
});

describe('bytes of anyone', () => {
  test('random and damaged ones are a value or a SerializationError, the same both ways', () => {
    const random = seeded('struct fuzz');
    for (let round = 0; round < 100; round++) {
      const schema = randomSchema(random, 0);
      const [compiled, interpreted] = both(schema) as [StructCodec, StructCodec];
      const valid = compiled.encode(randomItem(random, schema));
      if (valid.length > 5000) continue;
      for (let turn = 0; turn < 40; turn++) {
        const bytes = Buffer.from(
          valid.subarray(0, turn % 4 === 0 ? 4 + random.below(valid.length - 3) : valid.length),
        );
        for (let flips = random.below(3); flips >= 0 && bytes.length > 4; flips--)
          bytes[4 + random.below(bytes.length - 4)] = random.pick([0, 1, 0x7f, 0xff, random.below(256)]);
        const outcome = (codec: StructCodec): unknown => {
          try {
            return { value: codec.decode(bytes, 0, bytes.length) };
          } catch (error) {
            return (error as Error).message;
          }
        };
        const [one, two] = [outcome(compiled), outcome(interpreted)];
        // What is wrong may be put in other words; whether something is, and what comes out, may not differ.
        if (
          typeof one !== typeof two ||
          (typeof one === 'object' && inspect(one, { depth: 99 }) !== inspect(two, { depth: 99 }))
        )
          throw new Error(
            `round ${round}, ${JSON.stringify(schema)}: ${JSON.stringify([one, two])} of ${bytes.toString('hex')}`,
          );
        try {
          decodeItem(CODEC_STRUCT, bytes);
        } catch (error) {
          if (!(error instanceof SerializationError)) throw error;
        }
      }
    }
  });

  test('forged lengths ask for no memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const schema of ['string', 'bytes', 'any', ['u8'], [['string']], [{ 'a?': 'u8' }], { l: [{ a: 'f64' }] }]) {
      for (const codec of both(schema)) {
        const bytes = Buffer.alloc(40, 0xff);
        bytes.writeUInt32LE(codec.id, 0);
        expect(() => codec.decode(bytes, 0, bytes.length)).toThrow(/end in the middle/);
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
  });

  test('what is wrong is said: an unknown id, a field twice, more than the value, no UTF-8, numbers out of range', () => {
    expect(() => decodeItem(CODEC_STRUCT, Buffer.from('0102030405', 'hex'))).toThrow(
      /schema \(id 04030201\) is not known/,
    );
    expect(() => decodeItem(CODEC_STRUCT, Buffer.from('01', 'hex'))).toThrow(SerializationError);
    const bytesOf = (schema: unknown, hex: string): Buffer => {
      const id = Buffer.alloc(4);
      id.writeUInt32LE(codecOfSchema(schema).id);
      return Buffer.concat([id, Buffer.from(hex, 'hex')]);
    };
    const twice = codecOfSchema({ 'a?': 'u8' }).encode({ a: 1 }).subarray(5);
    for (const [schema, hex] of [
      ['u8', '0101'],
      ['bool', '02'],
      ['string', '02000000c328'],
      ['int', 'ffffffffffffff7f'],
      ['date', '000000000000f87f'.replace('f87f', 'e03f')],
      ['any', '0100000009c0'],
      [{ 'a?': 'u8' }, `02${twice.toString('hex')}${twice.toString('hex')}`],
      [{ 'a?': 'u8' }, `01${twice.toString('hex').replace('01000000', '02000000')}00`],
    ] as const) {
      const bytes = bytesOf(schema, hex);
      expect(() => decodeItem(CODEC_STRUCT, bytes)).toThrow(SerializationError);
      for (const codec of both(schema)) expect(() => codec.decode(bytes, 0, bytes.length)).toThrow();
    }
    expect((decodeItem(CODEC_STRUCT, bytesOf('date', '000000000000f87f')) as Date).getTime()).toBeNaN();
  });

  test('of a schema that gains a field once items were read, the next item has it', () => {
    const read = (schema: unknown, item: unknown): unknown =>
      decodeItem(CODEC_STRUCT, codecOfSchema(schema).encode(item));
    expect(read({ later: 'u8' }, { later: 1 })).toEqual({ later: 1 });
    expect(read({ later: 'u8', 'and?': 'string' }, { later: 2, and: 'x' })).toEqual({ later: 2, and: 'x' });
  });

  test('texts that came before are told from others by every byte, and what is no UTF-8 by none of them', () => {
    for (const codec of both('string')) {
      const read = (hex: string): unknown => {
        const bytes = Buffer.from(`00000000${(hex.length / 2).toString(16).padStart(2, '0')}000000${hex}`, 'hex');
        return codec.decode(bytes, 0, bytes.length);
      };
      const ofText = (text: string): unknown => read(Buffer.from(text).toString('hex'));
      const texts = [
        '',
        'a',
        'é',
        'sensor-12',
        'zensor-12',
        'sensor-21',
        '\ufffd',
        'x'.repeat(31),
        'x'.repeat(32),
        'äöü',
      ];
      for (let round = 0; round < 3; round++) {
        for (const text of texts) expect(ofText(text)).toBe(text);
        for (let at = 0; at < 9; at++) {
          const changed = `${'sensor-12'.slice(0, at)}#${'sensor-12'.slice(at + 1)}`;
          expect([ofText('sensor-12'), ofText(changed)]).toEqual(['sensor-12', changed]);
        }
        for (const hex of ['e9', 'ff', '73656e736f722d31ff', 'c328', 'efbf']) expect(() => read(hex)).toThrow(/UTF-8/);
      }
    }
  });
});
