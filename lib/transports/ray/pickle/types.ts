/**
 * Python values that have no counterpart in JavaScript, as data. Nothing here runs Python code or looks anything up:
 * a class is two strings, an instance is the recipe that would have made it.
 */

/** What every class below is: a piece of a pickle, kept as it came. */
export abstract class PyNode {}

/** A reference to something importable, such as a class. */
export class PyGlobal extends PyNode {
  constructor(
    /** Python's name of the module. */
    readonly module: string,
    /** Of the class or function in its module. */
    readonly name: string,
  ) {
    super();
  }

  /** `module.name`. */
  get path(): string {
    return `${this.module}.${this.name}`;
  }

  override toString(): string {
    return `<Python ${this.path}>`;
  }
}

/** A float that stays one on the way to Python: `new PyFloat(1)` arrives as `1.0`, the number `1` as the int `1`. */
export class PyFloat extends PyNode {
  constructor(/** The number. */ readonly value: number) {
    super();
  }

  override valueOf(): number {
    return this.value;
  }
}

export class PyList extends PyNode {
  constructor(readonly items: unknown[] = []) {
    super();
  }
}

/** Arrives in Python as a tuple; an array arrives as a list. */
export class PyTuple extends PyNode {
  constructor(readonly items: unknown[] = []) {
    super();
  }
}

export class PyDict extends PyNode {
  constructor(readonly entries: [key: unknown, value: unknown][] = []) {
    super();
  }
}

export class PySet extends PyNode {
  constructor(
    readonly items: unknown[] = [],
    readonly frozen = false,
  ) {
    super();
  }
}

export class PyByteArray extends PyNode {
  constructor(readonly bytes: Buffer) {
    super();
  }
}

/** A value that the pickle only names, such as Ray's object references and actor handles. */
export class PyPersistent extends PyNode {
  constructor(/** What the other side knows it by. */ readonly id: unknown) {
    super();
  }
}

/** A value that is already written: its opcodes, without PROTO and STOP. */
export class PyFragment extends PyNode {
  constructor(readonly bytes: Buffer) {
    super();
  }
}

/** What happens to an instance after its construction, in order. */
export type PyStep =
  | { readonly kind: 'state'; readonly state: unknown }
  | { readonly kind: 'append'; readonly items: unknown[] }
  | { readonly kind: 'set'; readonly entries: [unknown, unknown][] }
  | { readonly kind: 'add'; readonly items: unknown[] };

/**
 * An instance of a class unknown here: how Python would rebuild it. Opaque, but it can be put into a queue again and
 * arrives unchanged. `plainAttributes()` of `convert.ts` reads its fields.
 */
export class PyObject extends PyNode {
  /** What is done to it once it is made. */
  readonly steps: PyStep[] = [];

  constructor(
    /** How it is called. */
    readonly construction: 'reduce' | 'newobj' | 'newobj_ex',
    /** What makes it: a class or function. */
    readonly callable: unknown,
    /** Positional arguments. */
    readonly args: unknown,
    /** Keyword arguments. */
    readonly kwargs?: unknown,
  ) {
    super();
  }

  /** `module.name` of what makes it, or `?` when that is itself computed. */
  get path(): string {
    // `copyreg._reconstructor(cls, …)` and `copyreg.__newobj__(cls, …)` name the class in their first argument.
    if (this.callable instanceof PyGlobal) {
      if (this.callable.module !== 'copyreg' && this.callable.module !== 'copy_reg') return this.callable.path;
      const first = this.args instanceof PyTuple ? this.args.items[0] : undefined;
      return first instanceof PyGlobal ? first.path : this.callable.path;
    }
    return '?';
  }

  /** The positional arguments of the construction, unconverted. */
  get arguments(): readonly unknown[] {
    return this.args instanceof PyTuple ? this.args.items : [];
  }

  /** The last state set on it, unconverted; undefined when there is none. */
  get state(): unknown {
    for (let at = this.steps.length - 1; at >= 0; at--) {
      const step = this.steps[at]!;
      if (step.kind === 'state') return step.state;
    }
    return undefined;
  }

  override toString(): string {
    return `<Python ${this.path} object>`;
  }
}

/** A Python exception that was an item or a result. Passed back, it arrives as the same exception. */
export class PyException extends Error {
  /** `module.name` of its class, for example `builtins.ValueError`. */
  readonly pythonType: string;
  /** Its arguments as JavaScript values. */
  readonly args: readonly unknown[];
  /** Its fields as JavaScript values. */
  readonly attributes: { readonly [name: string]: unknown };
  readonly #raw: PyObject;

  constructor(raw: PyObject, pythonType: string, args: readonly unknown[], attributes: { [name: string]: unknown }) {
    super(
      args.length === 0 ? pythonType : args.map((arg) => (typeof arg === 'string' ? arg : describe(arg))).join(', '),
    );
    this.name = pythonType.slice(pythonType.lastIndexOf('.') + 1);
    this.pythonType = pythonType;
    this.args = args;
    this.attributes = attributes;
    this.#raw = raw;
  }

  /** What came over the wire. */
  static rawOf(exception: PyException): PyObject {
    return exception.#raw;
  }
}

function describe(value: unknown): string {
  if (value === null) return 'None';
  if (typeof value === 'object')
    return value instanceof PyObject || value instanceof PyGlobal ? value.toString() : 'object';
  return String(value);
}

/** Pickle text that is malformed, uses what is not supported, or exceeds a limit. Nothing was executed. */
export class PickleError extends Error {
  override readonly name = 'PickleError';
}

const tuples = new WeakSet<object>();
const frozenSets = new WeakSet<object>();

/** Marks an array so that it is written as a tuple; returns it. Arrays that were read from tuples are marked. */
export function asTuple<T extends readonly unknown[]>(array: T): T {
  tuples.add(array);
  return array;
}

export function isTuple(array: object): boolean {
  return tuples.has(array);
}

/** Marks a set so that it is written as a frozenset; returns it. */
export function asFrozenSet<T>(set: Set<T>): Set<T> {
  frozenSets.add(set);
  return set;
}

export function isFrozenSet(set: object): boolean {
  return frozenSets.has(set);
}

/** One letter of NumPy's type code and the size of an element, for the types that JavaScript has arrays of. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** A typed array that stands for a NumPy array: its elements in row-major (C) order, their shape and NumPy's name of their type. */
export type NdArray<A extends TypedArray = TypedArray> = A & {
  readonly shape: readonly number[];
  readonly dtype: string;
};

/** What an array of that class is in NumPy, first by itself, then what it may stand for. */
const DTYPES: { readonly [constructor: string]: readonly [own: string, ...others: (string | RegExp)[]] } = {
  Int8Array: ['int8'],
  Uint8Array: ['uint8', 'bool'],
  Uint8ClampedArray: ['uint8'],
  Int16Array: ['int16'],
  Uint16Array: ['uint16'],
  Int32Array: ['int32'],
  Uint32Array: ['uint32'],
  BigInt64Array: ['int64', /^(?:datetime|timedelta)64(?:\[\d*[A-Za-z]+\])?$/],
  BigUint64Array: ['uint64'],
  Float32Array: ['float32', 'float16', 'complex64'],
  Float64Array: ['float64', 'complex128'],
};

const shapes = new WeakMap<object, { readonly shape: readonly number[]; readonly dtype: string }>();

/**
 * Gives a typed array a shape: it is then written as a NumPy array instead of `bytes` or `array.array`. `dtype` is NumPy's name of the
 * elements where the array's class has none of its own: `bool` (Uint8Array), `float16` (Float32Array), `complex64` and `complex128`
 * (Float32Array and Float64Array, two numbers for each element), `datetime64[ns]`, `timedelta64[s]` (BigInt64Array, in that unit).
 * @throws RangeError when the shape does not hold exactly the array's elements, or the array cannot hold that type.
 */
export function ndarray<A extends TypedArray>(data: A, shape?: readonly number[], dtype?: string): NdArray<A> {
  const [own, ...others] = DTYPES[Buffer.isBuffer(data) ? 'Uint8Array' : data.constructor.name] ?? [];
  const name = dtype ?? own;
  if (
    name === undefined ||
    (name !== own && !others.some((other) => (typeof other === 'string' ? other === name : other.test(name))))
  )
    throw new RangeError(`A ${data.constructor.name} cannot hold the elements of a NumPy array of ${String(name)}.`);
  const length = name.startsWith('complex') ? data.length / 2 : data.length;
  const sides = shape ?? [length];
  const count = sides.reduce((product, side) => product * side, 1);
  if (sides.some((side) => !Number.isInteger(side) || side < 0) || count !== length) {
    throw new RangeError(`A shape of [${sides.join(', ')}] holds ${count} elements; the array has ${length}.`);
  }
  const frozen = Object.freeze([...sides]);
  shapes.set(data, { shape: frozen, dtype: name });
  Object.defineProperty(data, 'dtype', { value: name, configurable: true });
  return Object.defineProperty(data, 'shape', { value: frozen, configurable: true }) as NdArray<A>;
}

export function ndarrayInfo(data: object): { readonly shape: readonly number[]; readonly dtype: string } | undefined {
  return shapes.get(data);
}
