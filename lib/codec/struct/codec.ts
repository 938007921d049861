/** The codec of items with a schema: what is known of schemas in this thread, by the id that items carry. */
import { SerializationError } from '../../errors';
import { asBuffer } from '../../util/buffer-view';
import { CODEC_STRUCT } from '../codec-ids';
import { input, letGo, readFrom, useView } from '../input';
import { encodeInto, encodeMessagePack, encodeToSpan } from '../msgpack/encode';
import type { Span } from '../msgpack/encode';
import { out, reserve } from '../msgpack/output';
import type { Target } from '../msgpack/output';
import { Refusal } from '../refusals';
import { mismatchOf, refuseMismatch } from './check';
import { generate } from './generate';
import type { Functions } from './generate';
import { readNode, writeNode } from './interpret';
import { idOf, parseSchema, textOf } from '../../descriptor/schema';
import type { Node, OptionalField, RecordNode } from '../../descriptor/schema';
import { MISFIT } from './write-fields';

const ID_BYTES = 4;

/** Writes and reads the items of one schema. */
export class StructCodec {
  readonly id: number;
  /** As it lies in a segment. */
  readonly text: string;
  private functions: Functions | undefined;

  constructor(
    readonly node: Node,
    /** Tests only: without code of its own. */
    private readonly interpreted = false,
  ) {
    this.id = idOf(node);
    this.text = textOf(node);
  }

  /** Made when the first item comes: a process that only passes items on needs none. */
  private make(): Functions {
    return (this.functions = (this.interpreted ? undefined : generate(this.node)) ?? {
      write: (value) => writeNode(this.node, value),
      read: () => readNode(this.node),
    });
  }

  private readonly write = (value: unknown): void => {
    reserve(ID_BYTES);
    out.view.setUint32(out.position, this.id, true);
    out.position += ID_BYTES;
    try {
      (this.functions ?? this.make()).write(value);
    } catch (error) {
      if (error === MISFIT) throw refuseMismatch(this.node, value);
      // What MessagePack, or an own property of a list or date, has against it: the path is the schema's where it has one.
      if (error instanceof Refusal && mismatchOf(this.node, value) !== undefined)
        throw refuseMismatch(this.node, value);
      throw error;
    }
  };

  /** For callers that copy the bytes away at once. @throws SerializationError with the path to what does not fit */
  encodeToSpan(value: unknown): Span {
    return encodeToSpan(value, this.write);
  }

  /** @throws SerializationError with the path to what does not fit */
  encodeInto(target: Target, at: number, value: unknown): Span {
    return encodeInto(target, at, value, this.write);
  }

  /** @throws SerializationError with the path to what does not fit */
  encode(value: unknown): Buffer {
    return encodeMessagePack(value, this.write);
  }

  /** @throws SerializationError with the path to what does not fit */
  check(value: unknown): void {
    if (mismatchOf(this.node, value) !== undefined) throw refuseMismatch(this.node, value);
  }

  /** Of an item that came encoded, from a process that may have had no schema. @throws SerializationError unless it is one of this schema */
  checkEncoded(codecId: number, bytes: Uint8Array): void {
    if (codecId === CODEC_STRUCT && bytes.length >= ID_BYTES && idAt(bytes, 0) === this.id) return;
    throw new SerializationError(
      `The item was written ${codecId === CODEC_STRUCT ? 'by another schema' : 'without a schema'}; this queue takes those of its own. Resolve it with the schema.`,
    );
  }

  /** What lies behind the id. @throws Error that says what is wrong with the bytes */
  decode(bytes: Buffer, start: number, end: number): unknown {
    readFrom(bytes, start + ID_BYTES, end);
    useView();
    const value = (this.functions ?? this.make()).read();
    if (input.position !== end) throw new Error(`the value ends ${end - input.position} bytes before the item`);
    letGo();
    return value;
  }
}

const byText = new Map<string, StructCodec>();
/** By the id that all versions of a schema share: what reads them all. */
const readers = new Map<number, StructCodec>();
/** The reader of the item before, which is likely to be that of the next one. */
let last: StructCodec | undefined;

/** The codec of a schema; from then on its items can be read in this thread. @throws InvalidDescriptorError */
export function codecOfSchema(schema: unknown): StructCodec {
  const node = parseSchema(schema);
  const known = byText.get(textOf(node));
  if (known !== undefined) return known;
  const codec = new StructCodec(node);
  byText.set(codec.text, codec);
  const reader = readers.get(codec.id);
  readers.set(codec.id, reader === undefined ? codec : new StructCodec(merged(reader.node, node)));
  last = undefined;
  return codec;
}

/** With the optional fields of both, which differ in nothing else. */
function merged(a: Node, b: Node): Node {
  if (a.kind === 'list' && b.kind === 'list') return { kind: 'list', of: merged(a.of, b.of) };
  if (a.kind !== 'record' || b.kind !== 'record') return a;
  const ofB = (name: string): Node => b.required.find((field) => field.name === name)!.node;
  const required = a.required.map(({ name, node }) => ({ name, node: merged(node, ofB(name)) }));
  const optional = new Map<number, OptionalField>(a.optional.map((field) => [field.tag, field]));
  for (const field of b.optional) {
    const known = optional.get(field.tag);
    optional.set(field.tag, known === undefined ? field : { ...field, node: merged(known.node, field.node) });
  }
  const record: RecordNode = { kind: 'record', required, optional: [...optional.values()] };
  return record;
}

/** What reads the items of every version of its schema that is known here. */
export const readerOf = ({ id }: StructCodec): StructCodec => readers.get(id) as StructCodec;

const ofUnknownSchemas = new WeakSet<object>();

/** Whether the bytes are those of a schema that nobody here knows. */
export const isUnknown = (error: unknown): boolean => ofUnknownSchemas.has(error as object);

/** What a program hears of such an item, and decodeItem() throws. */
export const leftInQueue = (cause: unknown): SerializationError =>
  new SerializationError(`The item cannot be decoded: ${(cause as Error).message}. It is still in the queue.`, {
    cause,
  });

/** Whether an item cannot be decoded because nobody here knows its schema: others can, so it should stay in its queue. */
export const isUnknownSchema = (error: unknown): error is SerializationError =>
  error instanceof SerializationError && isUnknown(error.cause);

/** @throws Error that says what is wrong with the bytes, or that nobody here knows their schema */
export function decodeStruct(bytes: Uint8Array, start: number, end: number): unknown {
  if (end - start < ID_BYTES) throw new Error('an item with a schema begins with its id');
  const id = idAt(bytes, start);
  if (last === undefined || last.id !== id) last = readerWith(id);
  return last.decode(asBuffer(bytes), start, end);
}

/** The id that stands in front of an item. */
const idAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

function readerWith(id: number): StructCodec {
  const reader = readers.get(id);
  if (reader !== undefined) return reader;
  const error = new SerializationError(
    `its schema (id ${id.toString(16).padStart(8, '0')}) is not known here: resolve the queue with that schema, or attach to its segment`,
  );
  ofUnknownSchemas.add(error);
  throw error;
}
