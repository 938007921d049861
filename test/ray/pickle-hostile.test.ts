import { readPickle } from '../../lib/transports/ray/pickle/convert';
import { PickleError } from '../../lib/transports/ray/pickle/types';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import { seeded } from '../random';
import { fuzz } from './pickle-fuzz';

const pickle = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat([Buffer.from([0x80, 4]), ...parts.map((part) => Buffer.from(part as string, 'latin1'))]);

test('__proto__ is a key like any other', () => {
  const value = readPickle(pickle('}(\x8c\x09__proto__}\x8c\x08polluted\x88s\x8c\x0bconstructorK\x01u.')) as object;
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect((value as { polluted?: unknown }).polluted).toBeUndefined();
});

test('a recipe that would run a command in Python is only data here', () => {
  const value = readPickle(pickle('\x8c\x05posix\x8c\x06system\x93\x8c\x0aexit 1 ; :\x85R.'));
  expect(String(value)).toBe('<Python posix.system object>');
});

test('a __proto__ attribute of an exception pollutes nothing', () => {
  const value = readPickle(pickle('\x8c\x08builtins\x8c\x0aValueError\x93)R}\x8c\x09__proto__}\x8c\x01x\x88ssb.'));
  expect((value as { attributes: object }).attributes).not.toHaveProperty('x');
  expect(Object.getPrototypeOf((value as { attributes: object }).attributes)).toBeNull();
});

test.each([
  ['nesting', pickle(']'.repeat(100_000), 'a'.repeat(99_999), '.')],
  ['a string said to be 4 GiB', pickle('X\xff\xff\xff\xff.')],
  ['bytes said to be 2^63 long', pickle('\x8e', [255, 255, 255, 255, 255, 255, 255, 127], '.')],
  ['a bytearray said to be 2^53 long', pickle('\x96', [0, 0, 0, 0, 0, 0, 32, 0], '.')],
  ['an integer said to be 4 GiB', pickle('\x8b\xff\xff\xff\x7f.')],
  ['a million marks for each megabyte', pickle('('.repeat(5_000_000), '.')],
  ['five million dicts in five megabytes', pickle('(', '}'.repeat(5_000_000), 't.')],
  ['a memo entry never stored', pickle('h\x05.')],
  ['an extension code', pickle('\x82\x01.')],
  ['an out-of-band buffer', pickle('\x97.')],
  ['an unknown protocol', Buffer.from([0x80, 6, 0x4e, 0x2e])],
  ['protocol 0', Buffer.from('I1\n.')],
  ['nothing', Buffer.alloc(0)],
  ['no STOP', pickle('N')],
  ['two values at STOP', pickle('NN.')],
  ['bad UTF-8', pickle('\x8c\x02\xc3\x28.')],
])('%s is refused as a PickleError', (_, bytes) => {
  expect(() => readPickle(bytes)).toThrow(PickleError);
});

test('lists of lists of one list stay as small as they are', () => {
  // Each level holds ten references to the one before: 10^30 items if they were copied.
  const levels = Array.from(
    { length: 30 },
    (_, at) => `](${`h${String.fromCharCode(at)}`.repeat(10)}eq${String.fromCharCode(at + 1)}`,
  );
  expect(readPickle(pickle(']q\x000', ...levels.map((level) => `${level}0`), 'h\x1e.'))).toHaveLength(10);
});

test('a NumPy shape that does not fit its data stays opaque', () => {
  const dtype =
    '\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f8\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb';
  const value = readPickle(
    pickle(`\x8c\x13numpy._core.numeric\x8c\x0b_frombuffer\x93(C\x00${dtype}J\xff\xff\xff\x7f\x85\x8c\x01Ct\x52.`),
  );
  expect(String(value)).toContain('_frombuffer object');
});

test('deep values are refused by the writer, not a stack overflow', () => {
  let deep: unknown = null;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  expect(() => writePickle(deep)).toThrow(/deeper than/);
  expect(() => writePickle(Buffer.alloc(2000), { maxBytes: 1000 })).toThrow(/more than 1000 bytes/);
});

test('fuzzed pickles are read, or refused as PickleError, and nothing else happens', () => {
  const count = Number(process.env.FUZZ_COUNT ?? 60_000);
  const { read, refused } = fuzz(seeded('hostile pickles'), count);
  expect(read + refused).toBe(count);
  expect(read).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(1000);
  expect(Object.keys(Object.prototype)).toEqual([]);
});
