/**
 * Lists of keys that come in object after object, and the functions made for them: one that knows its keys finds the values in their places,
 * where any other asks for each by name. Which lists those are is learnt from what comes, with so much memory and no more.
 */

/** Objects of more keys have no function made for them. */
export const MOST_KEYS = 32;
/** Objects that lie deeper are read and written without, which takes less of the stack. */
export const DEEPEST_SHAPE = 64;
/** A list that came so often is likely to come again and again: V8 takes milliseconds to make machine code of a function. */
const SIGHTINGS = 512;
/** So many others in a row at its place, and a list gives way. */
const PATIENCE = 64;
/** What slotOf() counts up to. */
const SLOTS = 256;
/** Functions made in the life of a thread. Those that are there then stay. */
const MOST_MADE = 64;

export class Shape<F> {
  /** Undefined until the keys have come often enough, and where none can be made. */
  made: F | undefined = undefined;
  sightings = 0;
  /** Objects of other keys at its place since the last of its own. */
  misses = 0;

  constructor(
    readonly keys: readonly string[],
    readonly slot: number,
  ) {}
}

/** Where a list of keys has its place, by a number of its length and by some of its characters. */
export const slotOf = (length: number, a: number, b: number, c: number): number =>
  Math.imul((length << 24) ^ (a << 16) ^ (b << 8) ^ c ^ (length >>> 8), 0x9e3779b1) >>> 24;

export class ShapeTable<F> {
  readonly shapes: (Shape<F> | undefined)[] = new Array<Shape<F> | undefined>(SLOTS).fill(undefined);
  /** Whether there are functions, or may be. */
  isUsed = true;
  private left = MOST_MADE;

  constructor(private readonly make: (shape: Shape<F>) => F | undefined) {}

  /** Whether it should be told which keys those are that no function was there for. */
  wants(slot: number): boolean {
    if (this.left === 0) return false;
    const shape = this.shapes[slot];
    return shape === undefined || shape.sightings < SIGHTINGS || ++shape.misses > PATIENCE;
  }

  met(slot: number, keys: readonly string[]): void {
    const shape = this.shapes[slot];
    if (shape === undefined) {
      this.keep(slot, keys);
    } else if (!isSame(shape.keys, keys)) {
      if (++shape.misses > PATIENCE) this.keep(slot, keys);
    } else {
      shape.misses = 0;
      if (++shape.sightings !== SIGHTINGS) return;
      this.left--;
      shape.made = this.make(shape);
      // Where the process forbids code it is not tried again.
      if (shape.made === undefined) this.forbid();
    }
  }

  private keep(slot: number, keys: readonly string[]): void {
    if (canBeNamed(keys)) this.shapes[slot] = new Shape<F>(keys, slot);
  }

  private forbid(): void {
    this.isUsed = false;
    this.left = 0;
    this.shapes.fill(undefined);
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** In bytes: what MessagePack writes behind one byte of length. */
const LONGEST_KEY = 31;

/** Whether they are what an object literal of those names has, in that order: indices come first there, and `__proto__` is none of them. */
const canBeNamed = (keys: readonly string[]): boolean =>
  keys.every(
    (key) =>
      key.length <= LONGEST_KEY &&
      Buffer.byteLength(key) <= LONGEST_KEY &&
      (key as unknown as { isWellFormed(): boolean }).isWellFormed() &&
      key !== '__proto__' &&
      !/^\d+$/.test(key),
  );

/** A key of a shape as MessagePack has it. */
export function keyBytes(key: string): Buffer {
  const text = Buffer.from(key);
  return Buffer.concat([Buffer.from([0xa0 | text.length]), text]);
}

/** Bytes as numbers of 4, 2 and 1 of them, which is how generated code compares and writes them. */
export function wordsOf(bytes: Buffer): { at: number; bytes: 4 | 2 | 1; value: number }[] {
  const words: { at: number; bytes: 4 | 2 | 1; value: number }[] = [];
  for (let at = 0; at < bytes.length;) {
    const left = bytes.length - at;
    const size = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    words.push({ at, bytes: size, value: bytes.readUIntBE(at, size) });
    at += size;
  }
  return words;
}
