/** Messages over a byte stream (four bytes of length, then the payload) or a channel of JSON. Not a contender. */

const HEADER_BYTES = 4;

export const encoder = (work) => (work.kind === 'bytes' ? (item) => item : (item) => Buffer.from(JSON.stringify(item)));
export const decoder = (work) => (work.kind === 'bytes' ? (bytes) => bytes : (bytes) => JSON.parse(bytes.toString()));

/** JSON has no bytes: where a channel knows nothing else they travel as base64. */
export const base64 = (work) => (work.kind === 'bytes' ? (item) => item.toString('base64') : (item) => item);
export const fromBase64 = (work) => (work.kind === 'bytes' ? (item) => Buffer.from(item, 'base64') : (item) => item);

/** Payloads up to this size are copied behind their header: one small buffer costs less than two entries of a writev. */
const COPY_BELOW = 4096;

export class FrameWriter {
  #corked = 0;

  /** @param burst messages that are corked together */
  constructor(socket, burst) {
    this.socket = socket;
    this.burst = burst;
  }

  /** False: wait for 'drain'. */
  write(payload) {
    const { socket } = this;
    // A long payload is a write of its own behind its header.
    if (this.#corked === 0 && (this.burst > 1 || payload.length > COPY_BELOW)) socket.cork();
    let room;
    if (payload.length <= COPY_BELOW) {
      const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
      frame.writeUInt32LE(payload.length, 0);
      payload.copy(frame, HEADER_BYTES);
      room = socket.write(frame);
    } else {
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      header.writeUInt32LE(payload.length, 0);
      socket.write(header);
      room = socket.write(payload);
    }
    if (++this.#corked === this.burst || !room) this.flush();
    return room;
  }

  flush() {
    if (this.#corked === 0) return;
    this.#corked = 0;
    if (this.socket.writableCorked > 0) this.socket.uncork();
  }

  drained() {
    this.flush();
    return new Promise((resolve) => this.socket.once('drain', resolve));
  }
}

/** Cuts chunks into messages; whole messages are views of the chunk, only a message across chunks is put together. */
export function readFrames(socket, onMessage) {
  let rest;
  let missing = 0;
  let parts = [];
  socket.on('data', (chunk) => {
    if (missing > 0) {
      parts.push(chunk);
      missing -= chunk.length;
      if (missing > 0) return;
      chunk = Buffer.concat(parts);
      parts = [];
      missing = 0;
    } else if (rest !== undefined) {
      chunk = Buffer.concat([rest, chunk]);
    }
    rest = undefined;
    let at = 0;
    while (chunk.length - at >= HEADER_BYTES) {
      const length = chunk.readUInt32LE(at);
      const end = at + HEADER_BYTES + length;
      if (end > chunk.length) {
        missing = end - chunk.length;
        parts = [chunk.subarray(at)];
        return;
      }
      onMessage(chunk.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    if (at < chunk.length) rest = chunk.subarray(at);
  });
}
