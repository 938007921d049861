/** What travels with each item. Frozen: docs/wire-format.md. 0 is no codec: a zeroed slot is never mistaken for an item. */
export const CODEC_RAW = 1;
export const CODEC_MSGPACK = 2;
export const CODEC_JSON = 3;
export const CODEC_V8 = 4;
/** Items of a schema. */
export const CODEC_STRUCT = 5;

/** Of custom codecs; up to 255. */
export const FIRST_CUSTOM_ID = 16;
