/** What a value is, whichever realm (a vm context, a test runner's sandbox) it was made in: `instanceof` asks whose it is. */
import { types } from 'node:util';

const { isUint8Array } = types;

/** A Uint8Array, Buffers included, and no proxy of one. Its class, or the program, may say something else of its `length`: trueLengthOf() does not ask them. Never throws. */
export const isBytes = (value: unknown): value is Uint8Array =>
  // The first two spare most values the third.
  ArrayBuffer.isView(value) && (value instanceof Uint8Array || isUint8Array(value));

const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')!;

/** How many there are, whatever a class of the program's says of itself. */
export const trueLengthOf = (bytes: Uint8Array): number => get!.call(bytes) as number;
