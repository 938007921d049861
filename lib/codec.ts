/** 'auto' (default): a Uint8Array goes as raw bytes and arrives as a Buffer, everything else as MessagePack. */
export type CodecName = 'auto' | 'msgpack' | 'json' | 'raw' | 'v8' | (string & {});

export interface Codec {
  readonly name: string;
  /** Travels with each item. 16…255 for custom codecs. */
  readonly id: number;
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

export interface EncodedItem {
  readonly codecId: number;
  readonly bytes: Uint8Array;
}

export declare function registerCodec(codec: Codec): void;
/** A raw Uint8Array passes through without a copy; other bytes are the caller's to keep. @throws SerializationError */
export declare function encodeItem(value: unknown, codecName?: CodecName): EncodedItem;
/** Raw items come as a Buffer over the very bytes given, which the caller must own. @throws SerializationError with `bytes` and `codecId` */
export declare function decodeItem(codecId: number, bytes: Uint8Array): unknown;
