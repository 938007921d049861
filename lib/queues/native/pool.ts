/** Where items land on their way out: memory of JavaScript's own, handed out in pieces. */
import { CODEC_RAW, decodesByCopy, decodeItem } from '../../codec';
import { REGISTER_TABLE } from '../../native';
import type { NativeHandle } from '../../native';
import { viewOf } from '../../buffer-view';

const NOTHING = Buffer.alloc(0);
const POOL_BYTES = 64 * 1024;
/** With less room than this a new pool is begun. */
const LEAST_ROOM = 4 * 1024;

export class Pool {
  private buffer = NOTHING;
  private memory: ArrayBufferLike = NOTHING.buffer;
  /** Where the next item goes. */
  offset = 0;

  constructor(private readonly handle: NativeHandle) {}

  /** Before every get: makes sure that a usual item fits. */
  ready(): void {
    if (this.buffer.length - this.offset < LEAST_ROOM) this.renew();
  }

  private renew(): void {
    this.buffer = Buffer.allocUnsafeSlow(POOL_BYTES);
    this.memory = this.buffer.buffer;
    this.offset = 0;
    this.handle.setPool(this.buffer);
  }

  /** The item of `length` bytes at the offset. Items that are not copied by their decoding keep their place. */
  take(length: number, codec: number): unknown {
    const start = this.offset;
    const end = start + length;
    if (decodesByCopy(codec)) return decodeItem(codec, this.buffer, start, end);
    this.offset = (end + 7) & ~7;
    if (codec === CODEC_RAW) return viewOf(this.memory, start, length);
    return decodeItem(codec, this.buffer.subarray(start, end));
  }

  /** Adds a view of each of `count` raw items that lie one after the other from the offset on. */
  addRaw(items: unknown[], count: number): void {
    const { memory } = this;
    const { registers } = this.handle;
    let start = this.offset;
    for (let index = 0; index < count; index++) {
      const length = registers[REGISTER_TABLE + 2 * index]!;
      items.push(viewOf(memory, start, length));
      start += length;
    }
    this.offset = (start + 7) & ~7;
  }

  /** One of several items that lie one after the other. */
  takeAt(start: number, length: number, codec: number): unknown {
    if (codec === CODEC_RAW) return viewOf(this.memory, start, length);
    if (decodesByCopy(codec)) return decodeItem(codec, this.buffer, start, start + length);
    return decodeItem(codec, this.buffer.subarray(start, start + length));
  }
}
