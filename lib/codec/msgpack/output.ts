/** Where MessagePack goes: a buffer that is reused or handed out in pieces, and what is written into it everywhere. */
import { ItemTooLargeError } from '../../errors';

const CHUNK_BYTES = 64 * 1024;
/** A chunk with less room than this is left to its present readers. */
const WORTH_STARTING = 2 * 1024;
/** Larger buffers are not kept for the next item. */
export const KEEP_BYTES = 4 * 1024 * 1024;
/** No queue takes as much, and whatever counts bytes, in the item or on its way, has room for more. */
const LARGEST = 2 ** 31 - 1;
/** Every fixed-size write fits into this many bytes, so one check per value is enough. */
export const MARGIN = 32;

const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

export interface Output {
  bytes: Buffer;
  /** Over the same memory. */
  view: DataView;
  /** Of the item that is being written. */
  start: number;
  position: number;
  /** Up to here the margin is there. */
  limit: number;
}

/** The one of this thread. */
export const out: Output = {
  bytes: chunk,
  view: new DataView(chunk.buffer),
  start: 0,
  position: 0,
  limit: CHUNK_BYTES - MARGIN,
};

/** Memory of somebody else's, for items to be written to. */
export interface Target {
  readonly bytes: Buffer;
  /** Over the same memory. */
  readonly view: DataView;
}

export const targetOver = (bytes: Buffer): Target => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
});

/** Goes on in `buffer`, or in a chunk of its own. */
export function use(buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES), at = 0): void {
  out.bytes = buffer;
  out.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  out.start = out.position = at;
  out.limit = buffer.length - MARGIN;
}

/** After this, `bytes` and a margin can be written at the position. @throws ItemTooLargeError */
export function reserve(bytes: number): void {
  if (out.position + bytes > out.limit) grow(bytes);
}

function grow(bytes: number): void {
  const used = out.position - out.start;
  const needed = used + bytes + MARGIN;
  if (needed > LARGEST) {
    throw new ItemTooLargeError(`An item of ${LARGEST} bytes or more fits into no queue. Put it in parts.`);
  }
  const bigger = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed + (needed >> 1)));
  out.bytes.copy(bigger, 0, out.start, out.position);
  use(bigger, 0);
  out.position = used;
}

/** Gives the place of what is written up to be written over; a buffer that grew large is not kept for that. */
export function rewind(): void {
  out.position = out.start;
  if (out.bytes.length > KEEP_BYTES) use();
}

/** Leaves what is written to its readers, and goes on behind it. */
export function passOn(): void {
  if (out.bytes.length > KEEP_BYTES || out.bytes.length - out.position < WORTH_STARTING) use();
  else out.start = out.position;
}

/** Small counts ride in the first byte; the tokens for 16 and 32 bits follow each other. */
export function writeCount(count: number, small: number, token16: number): void {
  if (out.position > out.limit) reserve(MARGIN);
  if (count < 16) {
    out.bytes[out.position++] = small | count;
  } else if (count < 0x10000) {
    out.bytes[out.position++] = token16;
    out.view.setUint16(out.position, count);
    out.position += 2;
  } else {
    out.bytes[out.position++] = token16 + 1;
    out.view.setUint32(out.position, count);
    out.position += 4;
  }
}

export function writeExtensionHeader(type: number, length: number): void {
  reserve(length + 8);
  if (length < 0x100) {
    out.bytes[out.position++] = 0xc7;
    out.bytes[out.position++] = length;
  } else if (length < 0x10000) {
    out.bytes[out.position++] = 0xc8;
    out.view.setUint16(out.position, length);
    out.position += 2;
  } else {
    out.bytes[out.position++] = 0xc9;
    out.view.setUint32(out.position, length);
    out.position += 4;
  }
  out.bytes[out.position++] = type;
}

/** An extension whose length shows only once it is written. Returns where its header lies, relative to the start of the item. */
export function openExtension(type: number): number {
  reserve(8);
  const at = out.position - out.start;
  out.bytes[out.position] = 0xc9;
  out.bytes[out.position + 5] = type;
  out.position += 6;
  return at;
}

export function closeExtension(at: number): void {
  out.view.setUint32(out.start + at + 1, out.position - out.start - at - 6);
}
