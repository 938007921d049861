/** What an item looks like, as data; how a schema is read, named and compared. Layout: docs/wire-format.md. */
import { ConfigMismatchError, InvalidDescriptorError } from '../errors';
import { describeValue } from '../util/describe-value';
import { nodeCrypto } from '../util/lazy-node';

/** Integers by their bits, signed or not; `i64` and `u64` are bigint, `int` a safe integer; `any` as codec 'auto'. */
export type ScalarSchema = keyof ScalarItems;

interface ScalarItems {
  bool: boolean;
  i8: number;
  u8: number;
  i16: number;
  u16: number;
  i32: number;
  u32: number;
  i64: bigint;
  u64: bigint;
  int: number;
  f32: number;
  f64: number;
  string: string;
  bytes: Uint8Array;
  date: Date;
  any: unknown;
}

/**
 * What an item looks like. A list is an array with the schema of its elements; a field whose name ends in `?` may be left out.
 *
 * @example
 * const order = { id: 'u32', tags: ['string'], 'note?': 'string' } as const;
 */
export type Schema = ScalarSchema | readonly [Schema] | { readonly [field: string]: Schema };

type Fields<S> = {
  [K in keyof S as K extends `${string}?` ? never : K]: S[K] extends Schema ? ItemOf<S[K]> : never;
} & {
  [K in keyof S as K extends `${infer Name}?` ? Name : never]?: S[K] extends Schema ? ItemOf<S[K]> : never;
};

/** The type of the items of a schema: `{ id: number; tags: string[]; note?: string }` for the one above. */
export type ItemOf<S extends Schema> = S extends ScalarSchema
  ? ScalarItems[S]
  : S extends readonly [infer Element extends Schema]
    ? ItemOf<Element>[]
    : { [K in keyof Fields<S>]: Fields<S>[K] };

export interface ScalarNode {
  readonly kind: ScalarSchema;
}

export interface ListNode {
  readonly kind: 'list';
  readonly of: Node;
}

export interface RequiredField {
  readonly name: string;
  readonly node: Node;
}

export interface OptionalField extends RequiredField {
  /** Of name and type: what it is found by among the optional fields of an item. */
  readonly tag: number;
}

export interface RecordNode {
  readonly kind: 'record';
  /** Both by name in UTF-8 order. */
  readonly required: readonly RequiredField[];
  readonly optional: readonly OptionalField[];
}

export type Node = ScalarNode | ListNode | RecordNode;

const SCALARS: Record<ScalarSchema, true> = {
  ...{ bool: true, i8: true, u8: true, i16: true, u16: true, i32: true, u32: true, i64: true, u64: true },
  ...{ int: true, f32: true, f64: true, string: true, bytes: true, date: true, any: true },
};

/** As much fits into the segment of a queue. */
const MOST_BYTES = 64 * 1024 - 8;
const MOST_LEVELS = 64;
const MOST_OPTIONAL = 255;

/** @throws InvalidDescriptorError that says where the schema is none */
export function parseSchema(schema: unknown): Node {
  const node = parse(schema, 'schema', 0);
  const bytes = Buffer.byteLength(textOf(node));
  if (bytes > MOST_BYTES) throw invalid('schema', `at most ${MOST_BYTES} bytes of JSON`, `${bytes}`);
  return node;
}

const invalid = (path: string, expected: string, found: string): InvalidDescriptorError =>
  new InvalidDescriptorError(`${path}: ${expected} expected, found ${found}.`);

function parse(schema: unknown, path: string, level: number): Node {
  if (level > MOST_LEVELS) throw invalid(path, `at most ${MOST_LEVELS} levels`, 'more');
  if (typeof schema === 'string' && Object.hasOwn(SCALARS, schema)) return { kind: schema as ScalarSchema };
  if (Array.isArray(schema)) {
    if (schema.length !== 1) throw invalid(path, 'a list of one element, its schema,', `${schema.length}`);
    return { kind: 'list', of: parse(schema[0], `${path}[0]`, level + 1) };
  }
  if (typeof schema === 'object' && schema !== null) return parseRecord(schema, path, level);
  throw invalid(
    path,
    `one of ${Object.keys(SCALARS).join(', ')}, [schema] or { field: schema }`,
    describeValue(schema),
  );
}

function parseRecord(schema: object, path: string, level: number): RecordNode {
  const names = new Set<string>();
  const required: RequiredField[] = [];
  const optional: OptionalField[] = [];
  const tags = new Set<number>();
  for (const [key, type] of Object.entries(schema)) {
    const isOptional = key.endsWith('?');
    const name = isOptional ? key.slice(0, -1) : key;
    if (name === '' || name === '__proto__' || name.endsWith('?') || !isWellFormed(name))
      throw invalid(path, 'a name of a field', describeValue(key));
    if (names.has(name)) throw invalid(path, 'each field once', `${describeValue(name)} twice`);
    names.add(name);
    const node = parse(type, `${path}.${name}`, level + 1);
    if (!isOptional) {
      required.push({ name, node });
      continue;
    }
    const tag = hashOf(`${name}\0${skeletonOf(node)}`);
    if (tags.has(tag)) throw invalid(path, 'names that differ in their hash too', describeValue(name));
    tags.add(tag);
    optional.push({ name, node, tag });
  }
  if (names.size === 0) throw invalid(path, 'a field', 'none');
  if (optional.length > MOST_OPTIONAL)
    throw invalid(path, `at most ${MOST_OPTIONAL} optional fields`, `${optional.length}`);
  return { kind: 'record', required: required.sort(byName), optional: optional.sort(byName) };
}

const isWellFormed = (text: string): boolean => (text as unknown as { isWellFormed(): boolean }).isWellFormed();

const byName = (a: RequiredField, b: RequiredField): number => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

/** The first four bytes of its SHA-256, as a little-endian number. */
const hashOf = (text: string): number => nodeCrypto().createHash('sha256').update(text).digest().readUInt32LE(0);

/** The canonical text: JSON without spaces, fields by name in UTF-8 order. */
export const textOf = (node: Node): string => write(node, true);

/** The same without optional fields: what every version of a schema has in common. */
export const skeletonOf = (node: Node): string => write(node, false);

function write(node: Node, whole: boolean): string {
  if (node.kind === 'list') return `[${write(node.of, whole)}]`;
  if (node.kind !== 'record') return `"${node.kind}"`;
  const { required, optional } = node;
  const fields = [...required.map((field) => ({ ...field, mark: '' }))];
  if (whole) fields.push(...optional.map((field) => ({ ...field, mark: '?' })));
  const texts = fields
    .sort(byName)
    .map(({ name, mark, node: type }) => `${JSON.stringify(name + mark)}:${write(type, whole)}`);
  return `{${texts.join(',')}}`;
}

/** Travels with each item. The same for all versions of a schema that differ in optional fields only. */
export const idOf = (node: Node): number => hashOf(skeletonOf(node));

/**
 * Two that differ in optional fields only can read each other's items.
 * @throws ConfigMismatchError saying where they differ otherwise
 */
export function checkCompatible(existing: Node, asked: Node, queueId: string): void {
  const difference = differenceOf(existing, asked, '');
  if (difference === undefined) return;
  throw new ConfigMismatchError(
    `The queue '${queueId}' exists with another schema than the descriptor asks for: ${difference}. ` +
      'A schema may gain optional fields; for anything else make another queue.',
  );
}

function differenceOf(existing: Node, asked: Node, path: string): string | undefined {
  const at = path === '' ? 'the item' : path;
  if (existing.kind !== asked.kind) return `${at} is ${existing.kind}, asked for is ${asked.kind}`;
  if (existing.kind === 'list') return differenceOf(existing.of, (asked as ListNode).of, `${path}[]`);
  if (existing.kind !== 'record') return undefined;
  const other = asked as RecordNode;
  const step = (name: string): string => (path === '' ? name : `${path}.${name}`);
  for (const [mine, theirs, what] of [
    [existing, other, 'asked for is a schema without it'],
    [other, existing, 'the queue’s schema has none'],
  ] as const) {
    const missing = mine.required.find(({ name }) => theirs.required.every((field) => field.name !== name));
    if (missing !== undefined) return `${step(missing.name)} is required, and ${what}`;
  }
  for (const { name, node } of [...existing.required, ...existing.optional]) {
    const match = [...other.required, ...other.optional].find((field) => field.name === name);
    const difference = match && differenceOf(node, match.node, step(name));
    if (difference !== undefined) return difference;
  }
  return undefined;
}
