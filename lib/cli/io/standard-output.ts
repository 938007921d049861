/** Writes to stdout that are known to have been taken, whole, or not at all. */
import { fstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A pipe takes so many bytes whole or not at all (PIPE_BUF). */
const ATOMIC_BYTES = 4096;
/** Elsewhere. */
const CHUNK_BYTES = 64 * 1024;
/** So many chunks go into a pipe one item each and a moment apart: a reader that wants only a few lines closes it meanwhile. */
const CAREFUL_CHUNKS = 16;
const MOMENT_MS = 2;

/** Whoever read stdout has gone. */
export class ClosedPipeError extends Error {}

/** What a file or a device says to a write: the disk is full. */
export class UnwrittenError extends Error {
  constructor(cause: Error) {
    super(`The output could not be written: ${cause.message}`, { cause });
  }
}

export class StandardOutput {
  private readonly isPipe = isPipe();
  private written = 0;

  /** Whether the next item should go in a write of its own. */
  get careful(): boolean {
    return this.isPipe && this.written < CAREFUL_CHUNKS;
  }

  /** Bytes that one write has at most, unless a single item has more. */
  get chunkBytes(): number {
    return this.isPipe ? ATOMIC_BYTES : CHUNK_BYTES;
  }

  /** The pieces in groups for one write each. */
  cut(pieces: readonly Uint8Array[]): Uint8Array[][] {
    const writes: Uint8Array[][] = [];
    let length = Infinity;
    for (const piece of pieces) {
      if (length + piece.length > this.chunkBytes) {
        writes.push([]);
        length = 0;
      }
      writes.at(-1)!.push(piece);
      length += piece.length;
    }
    return writes;
  }

  /**
   * Resolves when the pieces have left this process.
   * @throws ClosedPipeError; the signal's reason when it fires before the reader took them; UnwrittenError
   */
  async write(pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    if (bytes.length === 0) return;
    await this.taken(bytes, signal);
    this.written++;
    if (this.careful) await delay(MOMENT_MS);
  }

  private taken(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      process.stdout.write(bytes, (error) => {
        signal.removeEventListener('abort', onAbort);
        if (error === null || error === undefined) resolve();
        else
          reject((error as NodeJS.ErrnoException).code === 'EPIPE' ? new ClosedPipeError() : new UnwrittenError(error));
      });
    });
  }
}

function isPipe(): boolean {
  try {
    const stat = fstatSync(1);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
