/** Buffers over memory that is there, had as cheaply as Node itself has them. */
type ViewOf = new (memory: ArrayBufferLike, start: number, length: number) => Buffer;
/** What Buffer makes its own slices with; without the argument checks of Buffer.from(), and without asking a buffer for its memory. */
const species = (Buffer as unknown as { [Symbol.species]?: ViewOf })[Symbol.species];
const View: ViewOf =
  typeof species === 'function' && Object.getPrototypeOf(new species(new ArrayBuffer(1), 0, 1)) === Buffer.prototype
    ? species
    : (function (memory: ArrayBufferLike, start: number, length: number) {
        return Buffer.from(memory as ArrayBuffer, start, length);
      } as unknown as ViewOf);

// The global is a getter of Node's, which a small item notices.
const { isBuffer } = Buffer;

/** The same bytes as a Buffer, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A Buffer over part of `memory`, without a copy. */
export const viewOf = (memory: ArrayBufferLike, start: number, length: number): Buffer =>
  new View(memory, start, length);
