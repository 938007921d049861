/** Buffers over memory that is there, made as cheaply as Node itself makes them. */
type ViewOf = new (memory: ArrayBufferLike, start: number, length: number) => Buffer;
/** What Buffer makes its own slices with; without the argument checks of Buffer.from(), and without asking a buffer for its memory. */
const species = (Buffer as unknown as { [Symbol.species]?: ViewOf })[Symbol.species];
const View: ViewOf =
  typeof species === 'function' && Object.getPrototypeOf(new species(new ArrayBuffer(1), 0, 1)) === Buffer.prototype
    ? species
    : (function (memory: ArrayBufferLike, start: number, length: number) {
        return Buffer.from(memory as ArrayBuffer, start, length);
      } as unknown as ViewOf);

/** A Buffer over part of `memory`, without a copy. */
export const viewOf = (memory: ArrayBufferLike, start: number, length: number): Buffer =>
  new View(memory, start, length);
