/** Buffers over memory that is there, had as cheaply as Node itself has them. */
import { trueLengthOf } from './built-ins';

type Place = [memory: ArrayBufferLike, start: number, length: number];
/** The class of Buffer's own slices. */
const species = (Buffer as unknown as { [Symbol.species]?: new (...place: Place) => Buffer })[Symbol.species];
const { construct } = Reflect;

/**
 * A Buffer over part of `memory`, without a copy, without the argument checks of Buffer.from(), and without asking a buffer for its memory. By way
 * of a rest parameter V8 makes it on the spot, in a program's async function and its try block, too, where it would call the class's constructor,
 * and that the one of Uint8Array: 13 ns instead of 22.
 */
export const viewOf: (...place: Place) => Buffer =
  typeof species === 'function' && species.prototype === Buffer.prototype
    ? (...place) => construct(Uint8Array, place, species)
    : (memory, start, length) => Buffer.from(memory as ArrayBuffer, start, length);

// The global is a getter of Node's, which a small item notices.
const { isBuffer } = Buffer;

/** The same bytes as a Buffer, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A copy of them, whatever a class of the program's says of their length. */
export const copyOf = (bytes: Uint8Array, start = 0, end = trueLengthOf(bytes)): Buffer =>
  Buffer.from(viewOf(bytes.buffer, bytes.byteOffset + start, end - start));
