import { readPickle } from '../../lib/transports/ray/pickle/convert';
import {
  asFrozenSet,
  asTuple,
  PickleError,
  PyDict,
  PyGlobal,
  PyObject,
  PyTuple,
} from '../../lib/transports/ray/pickle/types';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import type { Random } from '../random';
import { anyValue } from './any-value';

const OPCODES = [...'.(N\x88\x89KMJ\x8a\x8bG\x8cX\x8dCB\x8e\x96]}\x8f)aesu\x90\x91t\x85\x86\x87ld\x94qrhjc\x93R\x81\x92bQ012\x95'].map((c) => c.charCodeAt(0)); // prettier-ignore
const NAMES = ['numpy.dtype', 'numpy._core.numeric._frombuffer', 'numpy._core.multiarray.scalar', 'datetime.datetime', 'datetime.timezone', 'collections.deque', 'collections.OrderedDict', 'array._array_reconstructor', 'builtins.set', 'builtins.ValueError', 'copyreg._reconstructor']; // prettier-ignore

function recipe(chance: Random): unknown {
  const path = chance.pick(NAMES);
  const dot = path.lastIndexOf('.');
  const args = Array.from({ length: chance.below(5) }, () => anyValue(chance, 3));
  const object = new PyObject('reduce', new PyGlobal(path.slice(0, dot), path.slice(dot + 1)), new PyTuple(args));
  if (chance.next() < 0.4)
    object.steps.push({
      kind: 'state',
      state: chance.next() < 0.5 ? anyValue(chance, 3) : new PyDict([['__proto__', 1]]),
    });
  return object;
}

/** One of: a program of random opcodes, a valid pickle with bytes changed, a known class with wrong arguments. */
function candidate(chance: Random): Buffer {
  const kind = chance.below(10);
  if (kind < 4) {
    const length = 1 + chance.below(60);
    const body = Array.from({ length }, () => (chance.next() < 0.8 ? chance.pick(OPCODES) : chance.below(256)));
    return Buffer.from([0x80, 2 + chance.below(4), ...body, 0x2e]);
  }
  const value = kind < 7 ? anyValue(chance) : [recipe(chance), asTuple([recipe(chance)]), asFrozenSet(new Set([1]))];
  const bytes = Buffer.from(writePickle(value));
  for (let left = kind === 9 ? 0 : chance.below(4); left > 0; left--)
    bytes[chance.below(bytes.length)] = chance.below(256);
  return chance.next() < 0.1 ? bytes.subarray(0, chance.below(bytes.length)) : bytes;
}

/**
 * Reads `count` hostile pickles.
 * @throws whatever escaped that is not a PickleError, with the pickle that did it.
 */
export function fuzz(chance: Random, count: number): { read: number; refused: number } {
  let read = 0;
  let refused = 0;
  for (let left = count; left > 0; left--) {
    const bytes = candidate(chance);
    try {
      const value = readPickle(bytes);
      read++;
      // What was read can be sent back, unless it is a cycle of plain values.
      try {
        writePickle(value);
      } catch (error) {
        if (!(error instanceof PickleError)) throw error;
      }
    } catch (error) {
      if (!(error instanceof PickleError)) throw new Error(`Pickle ${bytes.toString('hex')}`, { cause: error });
      refused++;
    }
  }
  return { read, refused };
}
