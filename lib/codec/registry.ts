/**
 * Codecs: how an item becomes bytes. Each item travels with the id of its codec, so readers need no setting.
 * The built-in ids and the MessagePack extension numbers are frozen: docs/wire-format.md.
 */
import { decodeMessagePack } from './msgpack/decode';
import { encodeInto, encodeMessagePack, encodeToSpan } from './msgpack/encode';
import type { Span } from './msgpack/encode';
import type { Target } from './msgpack/output';
import { decodeJson, encodeJson } from './json';
import { SerializationError } from '../errors';
import { CODEC_JSON, CODEC_MSGPACK, CODEC_RAW, CODEC_STRUCT, CODEC_V8, FIRST_CUSTOM_ID } from './codec-ids';
import type { CodecName } from '../descriptor/options';
import type { Metadata } from '../descriptor/metadata';
import { codecOfSchema, decodeStruct, isUnknown, leftInQueue } from './struct/codec';
import type { StructCodec } from './struct/codec';
import { describeValue } from '../util/describe-value';
import { asBuffer } from '../util/buffer-view';
import { isBytes, isCutOff, trueLengthOf } from '../util/built-ins';
import { cutOff, refusalText } from './refusals';
import { isSealed } from './encoded-item';
import { decodeV8, encodeV8 } from './v8';

export type { CodecName };

/** How the items of one queue become bytes: a codec's name, or the codec of the queue's schema. */
export type ItemCodec = CodecName | StructCodec;

/** How items become bytes and back, for `registerCodec`. */
export interface Codec {
  /** What `codec` in the options says. */
  readonly name: string;
  /** Travels with each item. 16…255 for custom codecs. */
  readonly id: number;
  /** Makes bytes of a value; what it throws becomes the cause of a SerializationError, and nothing is put. */
  encode(value: unknown): Uint8Array;
  /** Makes the value again; what it throws becomes the cause of a SerializationError. */
  decode(bytes: Uint8Array): unknown;
}

export interface EncodedItem {
  readonly codecId: number;
  readonly bytes: Uint8Array;
}

export { CODEC_JSON, CODEC_MSGPACK, CODEC_RAW, CODEC_STRUCT, CODEC_V8, FIRST_CUSTOM_ID };

/** To send one that shows nothing any more as an empty item would be a silent loss. @throws SerializationError */
export function refuseCutOff(bytes: Uint8Array): void {
  if (isCutOff(bytes)) throw new SerializationError(refusalText('', cutOff('a Uint8Array')));
}

const raw: Codec = {
  name: 'raw',
  id: CODEC_RAW,
  encode: (value) => {
    if (isBytes(value)) return value;
    throw new SerializationError(
      `The codec 'raw' takes a Uint8Array, found ${describeValue(value)}. Use 'auto' for other items.`,
    );
  },
  decode: asBuffer,
};

const messagePack: Codec = { name: 'msgpack', id: CODEC_MSGPACK, encode: encodeMessagePack, decode: decodeMessagePack };

const json: Codec = { name: 'json', id: CODEC_JSON, encode: encodeJson, decode: decodeJson };

const v8: Codec = { name: 'v8', id: CODEC_V8, encode: encodeV8, decode: decodeV8 };

const byName = new Map<string, Codec>();
const byId = new Map<number, Codec>();
for (const codec of [raw, messagePack, json, v8]) {
  byName.set(codec.name, codec);
  byId.set(codec.id, codec);
}

/**
 * Adds a codec, or replaces the custom one of the same name and id. Writers and readers both need it.
 * @throws TypeError on something that is no codec, RangeError on an id out of 16…255, both when a name or id is already another codec's.
 */
export function registerCodec(codec: Codec): void {
  const { name, id, encode, decode } = codec ?? ({} as Codec);
  if (typeof name !== 'string' || name === '' || typeof encode !== 'function' || typeof decode !== 'function') {
    throw new TypeError(`A codec is { name, id, encode, decode }, found ${describeValue(codec)}.`);
  }
  if (!Number.isInteger(id) || id < FIRST_CUSTOM_ID || id > 255) {
    throw new RangeError(
      `The id of a custom codec is an integer from ${FIRST_CUSTOM_ID} to 255, found ${describeValue(id)}.`,
    );
  }
  const sameName = byName.get(name);
  if (name === 'auto' || (sameName !== undefined && sameName.id !== id)) {
    throw new TypeError(
      `The name '${name}' belongs to another codec${sameName === undefined ? '' : ` (id ${sameName.id})`}.`,
    );
  }
  const sameId = byId.get(id);
  if (sameId !== undefined && sameId.name !== name)
    throw new TypeError(`The id ${id} belongs to the codec '${sameId.name}'.`);
  byName.set(name, codec);
  byId.set(id, codec);
}

/** What a descriptor says of its items. @throws InvalidDescriptorError */
export function itemCodecOf({ schema, codec }: Metadata): ItemCodec {
  if (schema !== undefined && schema !== null) return codecOfSchema(schema);
  return typeof codec === 'string' ? codec : 'auto';
}

/** @throws SerializationError when there is no codec of that name. */
export function findCodec(name: CodecName): Codec {
  const codec = byName.get(name);
  if (codec !== undefined) return codec;
  throw new SerializationError(
    `There is no codec '${name}'; registered are: auto, ${[...byName.keys()].join(', ')}. Add one with registerCodec().`,
  );
}

function encodeWith(codec: Codec, value: unknown): Uint8Array {
  try {
    const bytes: unknown = codec.encode(value);
    if (isBytes(bytes)) {
      refuseCutOff(bytes);
      return bytes;
    }
    throw new SerializationError(
      `encode() of codec '${codec.name}' must return a Uint8Array, found ${describeValue(bytes)}.`,
    );
  } catch (error) {
    if (error instanceof SerializationError) throw error;
    throw new SerializationError(
      `The item cannot be encoded by '${codec.name}': ${(error as Error)?.message ?? error}.`,
      { cause: error },
    );
  }
}

export { isBytes, isBytes as isPlainBytes, isSealed };

/**
 * The item as bytes that the caller may keep. A raw Uint8Array passes through without a copy.
 * @throws SerializationError, ItemTooLargeError; nothing was put then.
 */
export function encodeItem(value: unknown, codecName: ItemCodec = 'auto'): EncodedItem {
  if (isSealed(value)) {
    const { codec: codecId, bytes } = value;
    if (typeof codecName === 'object') codecName.checkEncoded(codecId, bytes);
    return { codecId, bytes };
  }
  if (codecName === 'msgpack' || (codecName === 'auto' && !isBytes(value)))
    return { codecId: CODEC_MSGPACK, bytes: encodeMessagePack(value) };
  if (typeof codecName === 'object') return { codecId: CODEC_STRUCT, bytes: codecName.encode(value) };
  const codec = codecName === 'auto' ? raw : findCodec(codecName);
  return { codecId: codec.id, bytes: encodeWith(codec, value) };
}

/** An encoded item inside a larger buffer. */
export interface ItemSpan {
  codecId: number;
  buffer: Uint8Array;
  start: number;
  end: number;
  /** Whether the buffer is the encoder's own, which it uses for one item after the other. */
  isEncoders: boolean;
}

const itemSpan: ItemSpan = { codecId: 0, buffer: Buffer.alloc(0), start: 0, end: 0, isEncoders: false };

/**
 * For callers that copy the bytes away before anything else happens: what comes back, and the bytes it points at, are good only
 * until the next call. Saves an allocation per item.
 * @throws SerializationError, ItemTooLargeError
 */
export function encodeItemSpan(value: unknown, codecName: ItemCodec = 'auto'): ItemSpan {
  if (!isEncodedHere(value, codecName)) return ofBytes(value, codecName);
  const struct = typeof codecName === 'object';
  return ofEncoder(struct, struct ? codecName.encodeToSpan(value) : encodeToSpan(value), true);
}

/** As encodeItemSpan(); what this package encodes lies at `at` of `target`, where it fits. @throws SerializationError, ItemTooLargeError */
export function encodeItemInto(target: Target, at: number, value: unknown, codecName: ItemCodec): ItemSpan {
  if (!isEncodedHere(value, codecName)) return ofBytes(value, codecName);
  const struct = typeof codecName === 'object';
  return ofEncoder(struct, struct ? codecName.encodeInto(target, at, value) : encodeInto(target, at, value), false);
}

const isEncodedHere = (value: unknown, codecName: ItemCodec): boolean =>
  (typeof codecName === 'object' || codecName === 'msgpack' || (codecName === 'auto' && !isBytes(value))) &&
  !isSealed(value);

function ofEncoder(struct: boolean, { buffer, start, end }: Span, isEncoders: boolean): ItemSpan {
  itemSpan.codecId = struct ? CODEC_STRUCT : CODEC_MSGPACK;
  itemSpan.buffer = buffer;
  itemSpan.start = start;
  itemSpan.end = end;
  itemSpan.isEncoders = isEncoders;
  return itemSpan;
}

function ofBytes(value: unknown, codecName: ItemCodec): ItemSpan {
  const { codecId, bytes } = encodeItem(value, codecName);
  itemSpan.codecId = codecId;
  itemSpan.buffer = bytes;
  itemSpan.start = 0;
  itemSpan.end = trueLengthOf(bytes);
  itemSpan.isEncoders = false;
  return itemSpan;
}

/** Whether decoding copies everything out, so that the bytes may lie in a buffer that is reused right after. */
export const decodesByCopy = (codecId: number): boolean =>
  codecId === CODEC_MSGPACK || codecId === CODEC_STRUCT || codecId === CODEC_JSON;

/**
 * Raw items come as a Buffer over the very bytes given; for codecs that do not decode by copy (`decodesByCopy`), hand in bytes that
 * nobody else will write to.
 * @throws SerializationError carrying a copy of the `bytes`, and the `codecId`; its text says what became of the item (`fate`). One without them,
 * of which isUnknownSchema() is true, where nobody here knows its schema: others may, and the caller leaves the item in its queue.
 */
export function decodeItem(
  codecId: number,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
  fate = 'It was removed from the queue',
): unknown {
  try {
    if (codecId === CODEC_MSGPACK) return decodeMessagePack(bytes, start, end);
    if (codecId === CODEC_STRUCT) return decodeStruct(bytes, start, end);
    const part = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    const codec = byId.get(codecId);
    if (codec === undefined) throw new Error(`no codec with id ${codecId} is registered here`);
    return codec.decode(part);
  } catch (error) {
    if (isUnknown(error)) throw leftInQueue(error);
    throw new SerializationError(
      `The item (${end - start} bytes, codec ${codecId}) cannot be decoded: ${(error as Error)?.message ?? error}. ` +
        `${fate}; its bytes are in the \`bytes\` of this error.`,
      { cause: error, bytes: Buffer.from(bytes.subarray(start, end)), codecId },
    );
  }
}
