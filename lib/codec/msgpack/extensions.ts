/**
 * MessagePack extension numbers. Frozen: they are on the wire, in shared memory and in other languages' readers
 * (docs/wire-format.md). New ones may be added below 64.
 */
export const EXT_UNDEFINED = 0;
export const EXT_MAP = 1;
export const EXT_SET = 2;
export const EXT_BIGINT = 3;
export const EXT_BINARY = 4;
export const EXT_DESCRIPTOR = 5;
export const EXT_ERROR = 6;
/** A string that is no valid UTF-16 (lone surrogates), as UTF-16LE. */
export const EXT_UTF16 = 7;
export const EXT_INVALID_DATE = 8;
/** -1, MessagePack's own timestamp. */
export const EXT_TIMESTAMP = 0xff;

/** First payload byte of EXT_BINARY: what stood over the bytes. Elements are little-endian. */
export const BINARY_KINDS = [
  ArrayBuffer,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
] as const;

/** Values nested deeper are refused on both sides, so that no item can overflow a reader's stack. */
export const MAX_DEPTH = 1000;
