/** What a value is, whichever realm (a vm context, a test runner's sandbox) it was made in: `instanceof` asks whose it is. */
import { types } from 'node:util';

const { isUint8Array } = types;

/** A Uint8Array, Buffers included, and no proxy of one: nothing of it runs anybody's code. Never throws. */
export const isBytes = (value: unknown): value is Uint8Array =>
  // The first two spare most values the third.
  ArrayBuffer.isView(value) && (value instanceof Uint8Array || isUint8Array(value));
