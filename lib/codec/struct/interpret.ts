/** Items of a schema written and read without code of their own: where the process forbids to generate any. Same results, slower. */
import { out, reserve } from '../msgpack/output';
import { input, take, truncated } from '../input';
import { boolean, date, integer, takeAny, takeBytes, takeCount, takeText } from './read-fields';
import type { Node, RecordNode, ScalarSchema } from '../../descriptor/schema';
import { leastBytes, usualBytes } from './sizes';
import * as fields from './write-fields';

/** Writes at the output's position. @throws MISFIT, Refusal */
export function writeNode(node: Node, value: unknown): void {
  reserve(usualBytes(node));
  if (node.kind === 'record') return writeRecord(node, value);
  if (node.kind !== 'list') return writeScalar(node.kind, value);
  const length = fields.lengthOf(value);
  out.view.setUint32(out.position, length, true);
  out.position += 4;
  for (let index = 0; index < length; index++) writeNode(node.of, (value as unknown[])[index]);
}

function writeRecord(node: RecordNode, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fields.MISFIT;
  const { required, optional } = node;
  for (const { name, node: type } of required) writeNode(type, fields.ownValue(value, name));
  reserve(1);
  const countAt = out.position++ - out.start;
  let count = 0;
  for (const { name, node: type, tag } of optional) {
    const entry = fields.ownValue(value, name);
    if (entry === undefined) continue;
    reserve(8);
    out.view.setUint32(out.position, tag, true);
    const lengthAt = out.position + 4 - out.start;
    out.position += 8;
    writeNode(type, entry);
    out.view.setUint32(out.start + lengthAt, out.position - out.start - lengthAt - 4, true);
    count++;
  }
  out.bytes[out.start + countAt] = count;
  let keys = 0;
  for (const _key in value) keys++;
  if (keys !== required.length + count)
    fields.refuseOthers(value, new Set([...required, ...optional].map(({ name }) => name)));
}

function writeScalar(kind: ScalarSchema, value: unknown): void {
  const { view, position } = out;
  const integerOf = (least: number, most: number): number => {
    if (!fields.isInteger(value, least, most)) throw fields.MISFIT;
    return value;
  };
  const big = (signed: boolean): bigint => {
    if (!fields.fitsBits(value, signed)) throw fields.MISFIT;
    return value;
  };
  const number = (fits: boolean): number => {
    if (!fits) throw fields.MISFIT;
    return value as number;
  };
  const wrote = (bytes: number): void => void (out.position += bytes);
  switch (kind) {
    case 'bool':
      if (typeof value !== 'boolean') throw fields.MISFIT;
      return wrote((view.setUint8(position, value ? 1 : 0), 1));
    case 'i8':
      return wrote((view.setInt8(position, integerOf(-0x80, 0x7f)), 1));
    case 'u8':
      return wrote((view.setUint8(position, integerOf(0, 0xff)), 1));
    case 'i16':
      return wrote((view.setInt16(position, integerOf(-0x8000, 0x7fff), true), 2));
    case 'u16':
      return wrote((view.setUint16(position, integerOf(0, 0xffff), true), 2));
    case 'i32':
      return wrote((view.setInt32(position, integerOf(-0x80000000, 0x7fffffff), true), 4));
    case 'u32':
      return wrote((view.setUint32(position, integerOf(0, 0xffffffff), true), 4));
    case 'i64':
      return wrote((view.setBigInt64(position, big(true), true), 8));
    case 'u64':
      return wrote((view.setBigUint64(position, big(false), true), 8));
    case 'int': {
      const integral = integerOf(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      view.setUint32(position, integral >>> 0, true);
      return wrote((view.setInt32(position + 4, Math.floor(integral / 0x100000000), true), 8));
    }
    case 'f32':
      return wrote((view.setFloat32(position, number(fields.fitsFloat(value)), true), 4));
    case 'f64':
      return wrote((view.setFloat64(position, number(typeof value === 'number'), true), 8));
    case 'date':
      return wrote((view.setFloat64(position, fields.millisecondsOf(value), true), 8));
    case 'string':
      if (typeof value !== 'string') throw fields.MISFIT;
      return fields.writeText(value, 0);
    case 'bytes':
      return fields.writeBytes(value, 0);
    case 'any':
      return fields.writeAny(value, 0);
  }
}

/** Reads at the input's position. @throws Error that says what is wrong with the bytes */
export function readNode(node: Node): unknown {
  if (node.kind === 'record') return readRecord(node);
  if (node.kind !== 'list') return readScalar(node.kind);
  const count = takeCount(leastBytes(node.of));
  const list: unknown[] = [];
  for (let index = 0; index < count; index++) list.push(readNode(node.of));
  return list;
}

function readRecord({ required, optional }: RecordNode): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const { name, node } of required) record[name] = readNode(node);
  readOptional((tag) => {
    const field = optional.find((one) => one.tag === tag);
    if (field === undefined) return false;
    if (Object.hasOwn(record, field.name)) throw new Error('an optional field comes twice');
    record[field.name] = readNode(field.node);
    return true;
  });
  return record;
}

/** The optional fields of a record. Those of a later schema are passed over. */
export function readOptional(readField: (tag: number) => boolean): void {
  const outer = input.end;
  for (let count = input.bytes[take(1)] as number; count > 0; count--) {
    const at = take(8);
    const tag = input.view.getUint32(at, true);
    const from = input.position;
    const end = from + input.view.getUint32(at + 4, true);
    if (end > outer) throw truncated();
    input.end = end;
    if (readField(tag) && input.position !== end) throw new Error('an optional field is longer than the value in it');
    input.position = end;
    input.end = outer;
  }
}

function readScalar(kind: ScalarSchema): unknown {
  const { view } = input;
  switch (kind) {
    case 'bool':
      return boolean(input.bytes[take(1)]);
    case 'i8':
      return view.getInt8(take(1));
    case 'u8':
      return view.getUint8(take(1));
    case 'i16':
      return view.getInt16(take(2), true);
    case 'u16':
      return view.getUint16(take(2), true);
    case 'i32':
      return view.getInt32(take(4), true);
    case 'u32':
      return view.getUint32(take(4), true);
    case 'i64':
      return view.getBigInt64(take(8), true);
    case 'u64':
      return view.getBigUint64(take(8), true);
    case 'int': {
      const at = take(8);
      return integer(view.getUint32(at, true), view.getInt32(at + 4, true));
    }
    case 'f32':
      return view.getFloat32(take(4), true);
    case 'f64':
      return view.getFloat64(take(8), true);
    case 'date':
      return date(view.getFloat64(take(8), true));
    case 'string':
      return takeText();
    case 'bytes':
      return takeBytes();
    case 'any':
      return takeAny();
  }
}
