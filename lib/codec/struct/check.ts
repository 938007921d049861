/** Whether a value fits a schema, and where it does not. */
import { types } from 'node:util';
import { SerializationError } from '../../errors';
import { isBytes } from '../../util/built-ins';
import { describeValue } from '../../util/describe-value';
import { pathStep, pathText } from '../refusals';
import type { Node, RecordNode } from '../../descriptor/schema';

/** Undefined: it fits. Otherwise as `tags[2]: string expected, found 7`. */
export function mismatchOf(node: Node, value: unknown): string | undefined {
  const found = find(node, value);
  if (found === undefined) return undefined;
  const path = pathText(found.path);
  return path === '' ? found.what : `${path}: ${found.what}`;
}

/** @param at what is wrong, for a value of which everything else is right */
export function refuseMismatch(node: Node, value: unknown, at = 'it changed while it was read'): SerializationError {
  return new SerializationError(
    `${mismatchOf(node, value) ?? at}. The item does not fit the schema; the queue is unchanged.`,
  );
}

interface Mismatch {
  readonly path: string;
  readonly what: string;
}

const expected = (kind: string, value: unknown, found = describeValue(value)): Mismatch => ({
  path: '',
  what: `${kind} expected, found ${found}`,
});

function find(node: Node, value: unknown): Mismatch | undefined {
  switch (node.kind) {
    case 'list': {
      if (!Array.isArray(value)) return expected('list', value);
      for (let index = 0; index < value.length; index++) {
        const found = find(node.of, value[index]);
        if (found !== undefined) return { ...found, path: pathStep(index) + found.path };
      }
      const extra = Object.keys(value).find((key) => !/^\d+$/.test(key));
      return extra === undefined ? undefined : unknownField(extra, 'list');
    }
    case 'record':
      return findInRecord(node, value);
    default:
      if (isScalar(node.kind, value)) return undefined;
      return node.kind === 'string' && typeof value === 'string'
        ? expected('string', value, 'one with a lone surrogate')
        : expected(node.kind, value);
  }
}

const unknownField = (name: string, of: string): Mismatch => ({
  path: pathStep(name),
  what: `no such field is in the ${of}`,
});

function findInRecord(node: RecordNode, value: unknown): Mismatch | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return expected('object', value);
  const record = value as Record<string, unknown>;
  for (const { name, node: type } of node.required) {
    const found = find(type, record[name]);
    if (found !== undefined) return { ...found, path: pathStep(name) + found.path };
  }
  for (const { name, node: type } of node.optional) {
    const entry = record[name];
    const found = entry === undefined ? undefined : find(type, entry);
    if (found !== undefined) return { ...found, path: pathStep(name) + found.path };
  }
  const extra = extraField(node, record);
  return extra === undefined ? undefined : unknownField(extra, 'schema');
}

/** Own, enumerable, with a value, and not in the schema: it would be dropped. */
export function extraField({ required, optional }: RecordNode, record: object): string | undefined {
  return Object.keys(record).find(
    (key) =>
      !required.some(({ name }) => name === key) &&
      !optional.some(({ name }) => name === key) &&
      (record as Record<string, unknown>)[key] !== undefined,
  );
}

const within = (value: unknown, from: number, to: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to && !Object.is(value, -0);

function isScalar(kind: string, value: unknown): boolean {
  switch (kind) {
    case 'bool':
      return typeof value === 'boolean';
    case 'i8':
      return within(value, -0x80, 0x7f);
    case 'u8':
      return within(value, 0, 0xff);
    case 'i16':
      return within(value, -0x8000, 0x7fff);
    case 'u16':
      return within(value, 0, 0xffff);
    case 'i32':
      return within(value, -0x80000000, 0x7fffffff);
    case 'u32':
      return within(value, 0, 0xffffffff);
    case 'i64':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
    case 'u64':
      return typeof value === 'bigint' && BigInt.asUintN(64, value) === value;
    case 'int':
      return within(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    case 'f32':
      return typeof value === 'number' && (Number.isFinite(Math.fround(value)) || !Number.isFinite(value));
    case 'f64':
      return typeof value === 'number';
    case 'string':
      return typeof value === 'string' && (value as unknown as { isWellFormed(): boolean }).isWellFormed();
    case 'bytes':
      return isBytes(value);
    case 'date':
      return types.isDate(value) && Object.keys(value).length === 0;
    default:
      return true;
  }
}
