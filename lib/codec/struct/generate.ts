/**
 * Items of a schema written and read by functions made for it: one check and one store for each field, objects of one hidden class. Names of
 * fields come from anywhere and stand in the code as JSON strings only.
 */
import { compile } from '../compile';
import { out, reserve } from '../msgpack/output';
import { readOptional } from './interpret';
import { reading } from './read-fields';
import type { Node, RecordNode, ScalarSchema } from '../../descriptor/schema';
import { fixedBytes, leastBytes, usualBytes } from './sizes';
import { SHORT_TEXT, writing } from './write-fields';

export interface Functions {
  /** Writes at the output's position. @throws MISFIT, Refusal */
  write(value: unknown): void;
  /** Reads at the input's position. @throws Error */
  read(): unknown;
}

/** What generated code may use, by the names it has there. */
const scope = { out, reserve, readOptional, ...reading, ...writing };

/** Undefined where the process forbids code from strings, or once it is found to. */
export function generate(node: Node): Functions | undefined {
  const writer = new Writer();
  const reader = new Reader();
  return compile<Functions>(
    scope,
    [
      `function write(value) { reserve(${usualBytes(node)}); let p = out.position, b = out.bytes, v = out.view; ${writer.value(node, 'value', 0)} out.position = p; }`,
      ...writer.functions,
      `function read() { const b = input.bytes, v = input.view; let p = input.position, end = input.end; let value; ${reader.value(node, 'value')} input.position = p; return value; }`,
      ...reader.functions,
      'return { write, read };',
    ].join('\n'),
  );
}

/** A check of `x`, what stores it at `p`, and what is there, of as many bytes as were found to be there. */
const SCALARS: Partial<Record<ScalarSchema, [fits: string, store: string, load: string]>> = {
  bool: ["typeof x === 'boolean'", 'b[p] = x ? 1 : 0;', 'boolean(b[p])'],
  i8: ['isInteger(x, -0x80, 0x7f)', 'v.setInt8(p, x);', 'v.getInt8(p)'],
  u8: ['isInteger(x, 0, 0xff)', 'b[p] = x;', 'b[p]'],
  i16: ['isInteger(x, -0x8000, 0x7fff)', 'v.setInt16(p, x, true);', 'v.getInt16(p, true)'],
  u16: ['isInteger(x, 0, 0xffff)', 'v.setUint16(p, x, true);', 'v.getUint16(p, true)'],
  i32: ['(x | 0) === x && (x !== 0 || 1 / x > 0)', 'v.setInt32(p, x, true);', 'v.getInt32(p, true)'],
  u32: ['x >>> 0 === x && (x !== 0 || 1 / x > 0)', 'v.setUint32(p, x, true);', 'v.getUint32(p, true)'],
  i64: ['fitsBits(x, true)', 'v.setBigInt64(p, x, true);', 'v.getBigInt64(p, true)'],
  u64: ['fitsBits(x, false)', 'v.setBigUint64(p, x, true);', 'v.getBigUint64(p, true)'],
  int: [
    'Number.isSafeInteger(x) && (x !== 0 || 1 / x > 0)',
    'v.setUint32(p, x >>> 0, true); v.setInt32(p + 4, Math.floor(x / 0x100000000), true);',
    'integer(v.getUint32(p, true), v.getInt32(p + 4, true))',
  ],
  f32: ['fitsFloat(x)', 'v.setFloat32(p, x, true);', 'v.getFloat32(p, true)'],
  f64: ["typeof x === 'number'", 'v.setFloat64(p, x, true);', 'v.getFloat64(p, true)'],
  date: ['true', 'v.setFloat64(p, millisecondsOf(x), true);', 'date(v.getFloat64(p, true))'],
};

/** After what may have moved the output. */
const RELOAD = 'p = out.position; b = out.bytes; v = out.view;';

class Writer {
  readonly functions: string[] = [];
  private count = 0;

  /** Statements that write `from`; `rest` is the room that what follows counts on. */
  value(node: Node, from: string, rest: number): string {
    switch (node.kind) {
      case 'record':
        return `out.position = p; ${this.record(node, rest)}(${from}); ${RELOAD}`;
      case 'list':
        return `out.position = p; ${this.list(node.of, rest)}(${from}); ${RELOAD}`;
      case 'string':
        return `{ const x = ${from}; if (typeof x !== 'string') throw MISFIT; const n = x.length;
          if (n <= ${SHORT_TEXT} && writeAscii(b, p + 4, x)) { v.setUint32(p, n, true); p += 4 + n; }
          else { out.position = p; writeText(x, ${rest}); ${RELOAD} } }`;
      case 'bytes':
        return `out.position = p; writeBytes(${from}, ${rest}); ${RELOAD}`;
      case 'any':
        return `out.position = p; writeAny(${from}, ${rest}); ${RELOAD}`;
      default: {
        const [fits, store] = SCALARS[node.kind]!;
        return `{ const x = ${from}; if (!(${fits})) throw MISFIT; ${store} p += ${fixedBytes(node)}; }`;
      }
    }
  }

  private list(of: Node, rest: number): string {
    const name = `writeList${this.count++}`;
    const usual = usualBytes(of);
    this.functions.push(`function ${name}(list) {
      const length = lengthOf(list);
      out.view.setUint32(out.position, length, true); out.position += 4;
      let p, b, v;
      for (let i = 0; i < length; i++) { reserve(${usual}); ${RELOAD} ${this.value(of, 'list[i]', 0)} out.position = p; }
      reserve(${rest});
    }`);
    return name;
  }

  private record({ required, optional }: RecordNode, rest: number): string {
    const name = `writeRecord${this.count++}`;
    const optionalBytes = optional.reduce((sum, { node }) => sum + 8 + usualBytes(node), 0);
    let left = rest + 1 + optionalBytes + required.reduce((sum, { node }) => sum + usualBytes(node), 0);
    const body = required.map(({ name: field, node }) => {
      left -= usualBytes(node);
      return this.value(node, read(field), left);
    });
    const known = `known${this.count++}`;
    this.functions.push(
      `const ${known} = new Set(${JSON.stringify([...required, ...optional].map((field) => field.name))});`,
    );
    body.push('let present = 0;');
    if (optional.length > 0) body.push('const countAt = p - out.start; p++;');
    else body.push('b[p++] = 0;');
    left = rest + optionalBytes;
    for (const { name: field, node, tag } of optional) {
      left -= 8 + usualBytes(node);
      body.push(`{ const entry = ${read(field)}; if (entry !== undefined) {
        v.setUint32(p, ${tag}, true); const lengthAt = p + 4 - out.start; p += 8; present++;
        ${this.value(node, 'entry', left)}
        v.setUint32(out.start + lengthAt, p - out.start - lengthAt - 4, true); } }`);
    }
    if (optional.length > 0) body.push('b[out.start + countAt] = present;');
    this.functions.push(`function ${name}(o) {
      if (typeof o !== 'object' || o === null || Array.isArray(o)) throw MISFIT;
      let p = out.position, b = out.bytes, v = out.view;
      ${body.join('\n')}
      let keys = 0; for (const key in o) keys++;
      if (keys !== ${required.length} + present) refuseOthers(o, ${known});
      out.position = p;
    }`);
    return name;
  }
}

/** A field of `o`: what stands in Object.prototype under its name is not its value. */
function read(field: string): string {
  const name = JSON.stringify(field);
  return field in Object.prototype ? `ownValue(o, ${name})` : `o[${name}]`;
}

class Reader {
  readonly functions: string[] = [];
  private count = 0;

  /** Statements that read into `to`. */
  value(node: Node, to: string): string {
    const call = (text: string): string => `input.position = p; ${to} = ${text}; p = input.position;`;
    switch (node.kind) {
      case 'record':
        return call(`${this.record(node)}()`);
      case 'list':
        return call(`${this.list(node.of)}()`);
      case 'string':
        return `{ if (end - p < 4) throw truncated(); const n = v.getUint32(p, true); p += 4;
          if (n > end - p) throw truncated(); ${to} = text(p, n); p += n; }`;
      case 'bytes':
        return call('takeBytes()');
      case 'any':
        return call('takeAny()');
      default: {
        const bytes = fixedBytes(node) as number;
        return `if (end - p < ${bytes}) throw truncated(); ${to} = ${SCALARS[node.kind]![2]}; p += ${bytes};`;
      }
    }
  }

  private list(of: Node): string {
    const name = `readList${this.count++}`;
    this.functions.push(`function ${name}() {
      const count = takeCount(${leastBytes(of)});
      const list = [];
      const b = input.bytes, v = input.view, end = input.end;
      let p = input.position;
      for (let i = 0; i < count; i++) { let value; ${this.value(of, 'value')} list.push(value); }
      input.position = p;
      return list;
    }`);
    return name;
  }

  private record({ required, optional }: RecordNode): string {
    const name = `readRecord${this.count++}`;
    const variables = required.map((_, index) => `f${index}`);
    const fields = required.map(({ name: field }, index) => `${JSON.stringify(field)}: f${index}`);
    const cases = optional.map(
      ({ name: field, node, tag }) => `case ${tag}: {
        if (Object.hasOwn(o, ${JSON.stringify(field)})) throw new Error('an optional field comes twice');
        let entry; ${this.value(node, 'entry')} o[${JSON.stringify(field)}] = entry; break; }`,
    );
    this.functions.push(`function ${name}() {
      const b = input.bytes, v = input.view, end = input.end;
      let p = input.position;
      ${variables.length > 0 ? `let ${variables.join(', ')};` : ''}
      ${required.map(({ node }, index) => this.value(node, `f${index}`)).join('\n')}
      if (p >= end) throw truncated();
      const o = { ${fields.join(', ')} };
      if (b[p] === 0) { input.position = p + 1; return o; }
      input.position = p;
      readOptional((tag) => {
        const end = input.end; let p = input.position;
        switch (tag) { ${cases.join('\n')} default: return false; }
        input.position = p; return true;
      });
      return o;
    }`);
    return name;
  }
}
