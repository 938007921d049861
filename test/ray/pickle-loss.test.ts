/** What could only arrive in Python as something else, or in part, is refused, as by the codecs of the other types. */
import { ndarray } from '../../lib/ray';
import { readPickle } from '../../lib/transports/ray/pickle/convert';
import { PickleError } from '../../lib/transports/ray/pickle/types';
import { writePickle } from '../../lib/transports/ray/pickle/write';

const tagged = <T extends object>(value: T): T => Object.assign(value, { extra: ':' });
class Hidden {
  #value = 1;
  read(): number {
    return this.#value;
  }
}

// prettier-ignore
test.each<[string, unknown, string]>([
  ['a hole', { list: [1, , 3] }, 'a hole'],
  ['a hole behind the end', new Array(3), 'a hole'],
  ['a hole in a key', new Map([[[1, , 3], 1]]), 'a hole'],
  ['a property of an array', tagged([1, 2]), 'an array with a property of its own ("extra")'],
  ['a match of a regular expression', { match: /b/.exec('abc') }, 'an array with a property of its own ("index")'],
  ['a property of a Map', [tagged(new Map())], 'a Map with a property'],
  ['a property of a Set', tagged(new Set([1])), 'a Set with a property'],
  ['a property of a Date', tagged(new Date(0)), 'a Date with a property'],
  ['a property of a typed array', tagged(new Float64Array(3)), 'a Float64Array with a property'],
  ['a property of a boxed string', tagged(Object('text') as object), '("extra")'],
  ['an instance that shows nothing', new Blob(['lost']), 'an instance of Blob without properties of its own'],
  ['an instance with private fields', [new Hidden()], 'an instance of Hidden without properties of its own'],
  ['a Promise', [Promise.resolve(1)], 'a Promise'],
  ['an iterator', [new Set([1]).values()], 'an iterator'],
])('refuses %s', (_what, value, message) => {
  expect(() => writePickle(value)).toThrow(PickleError);
  expect(() => writePickle(value)).toThrow(message);
});

test('what has its place in Python goes: undefined as None, the shape of a NumPy array, boxed primitives', () => {
  expect(readPickle(writePickle([undefined, Object('text')]))).toEqual([null, 'text']);
  expect(() => writePickle(ndarray(new Float64Array(4), [2, 2]))).not.toThrow();
  class Point {
    x = 1;
  }
  expect(readPickle(writePickle(new Point()))).toEqual({ x: 1 });
});
