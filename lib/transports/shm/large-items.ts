/**
 * Memory for items too large for the receive buffer. To touch memory that the process has not had before costs more than the
 * copy into it, and for huge pages a tenth of what it costs for small ones: so such items lie in pieces of a chunk of huge pages, where the
 * system has those.
 */
import { viewOf } from '../../util/buffer-view';
import type { NativeEntry } from './addon';

/** As large as huge pages are, and aligned as they are, on all systems that have them. */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const CHUNK_BYTES = 2 * HUGE_PAGE_BYTES;
/** An item that is kept keeps its chunk: no more than four times what it takes itself. */
const LEAST_KEPT_BYTES = CHUNK_BYTES / 4;

export class LargeItems {
  private memory: ArrayBuffer | undefined;
  private offset = 0;
  private end = 0;

  constructor(private readonly entry: NativeEntry) {}

  /** Memory for `length` bytes; `kept`: it is the item's for as long as that lives, and not given back. */
  take(length: number, kept: boolean): Buffer {
    if (length > CHUNK_BYTES || (kept && length < LEAST_KEPT_BYTES)) return Buffer.allocUnsafeSlow(length);
    if (this.memory === undefined || this.end - this.offset < length) this.memory = this.renew();
    const bytes = viewOf(this.memory, this.offset, length);
    this.offset += (length + 7) & ~7;
    // What is left is for nobody: the chunk is its items' alone.
    if (kept && this.end - this.offset < LEAST_KEPT_BYTES) this.memory = undefined;
    return bytes;
  }

  /** Nothing refers to the bytes any more. Where others were taken behind them meanwhile, they stay with the chunk. */
  giveBack({ buffer, byteOffset, length }: Buffer): void {
    if (buffer === this.memory && byteOffset + ((length + 7) & ~7) === this.offset) this.offset = byteOffset;
  }

  private renew(): ArrayBuffer {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES + HUGE_PAGE_BYTES);
    this.offset = this.entry.preferHugePages(chunk, HUGE_PAGE_BYTES);
    this.end = this.offset + CHUNK_BYTES;
    return chunk.buffer as ArrayBuffer;
  }
}
