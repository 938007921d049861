/** `sage_queue`: `shm`'s core with namespaces, owners and bytes in place, without a copy on the way in or out. */
import { CODEC_RAW } from '../../codec';
import { syncDispose } from '../../dispose';
import { ItemTooLargeError, QueueEmptyError, QueueFullError, QueueShutDownError } from '../../errors';
import { REGISTER_TABLE, SHUT, TOO_LARGE, MAX_BATCH, native } from '../../native';
import type { Claim, SageQueue as SageQueueInterface, SyncWaitOptions } from '../../queue';
import { readMax } from '../../wait';
import { ShmQueue } from './shm-queue';

export class SageQueue<T = unknown> extends ShmQueue<T> implements SageQueueInterface<T> {
  private claimOpen = false;
  private consuming = false;

  claimSync(bytes: number, options?: SyncWaitOptions): Claim {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new RangeError(`A claim is for a non-negative integer number of bytes, found ${String(bytes)}.`);
    }
    if (this.claimOpen) {
      throw new TypeError('One claim per handle may be open at a time: commit() or abort() the one before.');
    }
    const offset = this.block(
      options,
      () => new QueueFullError('The queue has no room for the claim (items or bytes).'),
      (waitMs) => {
        const status = this.handle.claim(bytes, CODEC_RAW, waitMs);
        if (status >= 0) return status;
        if (status === SHUT) throw new QueueShutDownError('The queue was shut down and takes no more items.');
        if (status === TOO_LARGE) {
          throw new ItemTooLargeError(
            `A claim of ${bytes} bytes can never fit into this queue. Make it with a larger capacityBytes.`,
          );
        }
        return undefined;
      },
    );
    this.claimOpen = true;
    const mapping = this.handle.mapping();
    // Where the runtime forbids views of foreign memory, the bytes are copied at commit.
    const view = mapping === undefined ? Buffer.alloc(bytes) : Buffer.from(mapping, offset, bytes);
    const end = (commit: boolean): void => {
      if (!open) return;
      open = false;
      this.claimOpen = false;
      if (!this.closed) native(() => this.handle.endClaim(commit, mapping === undefined ? view : undefined));
    };
    let open = true;
    return {
      get bytes(): Uint8Array {
        if (!open) throw new TypeError('The claim has ended: its bytes belong to the queue now.');
        return view;
      },
      commit: () => {
        this.check();
        if (!open) throw new TypeError('The claim has ended already.');
        end(true);
      },
      abort: () => end(false),
      [syncDispose]: () => end(false),
    };
  }

  consumeSync(handler: (view: Uint8Array) => void, max?: number, options?: SyncWaitOptions): number {
    if (typeof handler !== 'function') throw new TypeError('consumeSync takes a function as its first argument.');
    if (max !== undefined && readMax(max) === 0) return 0;
    if (this.consuming) throw new TypeError('The handler of consumeSync may not consume from the same handle.');
    this.check();
    // Without a limit: what is there now, not what a fast producer adds meanwhile.
    const limit = max ?? Math.max(1, this.qsizeSync());
    const take = (waitMs: number, left: number): number | undefined => {
      const count = this.handle.takeRun(Math.min(MAX_BATCH, left), waitMs);
      if (count === SHUT) throw new QueueShutDownError('The queue was shut down and nothing is left in it.');
      return count > 0 ? count : undefined;
    };
    let handled = 0;
    let count: number | undefined = this.block(
      options,
      () => new QueueEmptyError(),
      (waitMs) => take(waitMs, limit),
    );
    while (count !== undefined) {
      this.handleRun(handler, count);
      handled += count;
      if (handled >= limit || this.closed || this.handle.isShut()) break;
      count = native(() => take(0, limit - handled));
    }
    return handled;
  }

  /** Hands each item of the run to the handler; if one is refused, it and those behind it go back. */
  private handleRun(handler: (view: Uint8Array) => void, count: number): void {
    const { handle } = this;
    const mapping = handle.mapping();
    // The handler may use this queue too, and the registers with it.
    const table = handle.registers.slice(REGISTER_TABLE, REGISTER_TABLE + 2 * count);
    for (let index = 0; index < count; index++) {
      try {
        const offset = table[2 * index]!;
        const length = table[2 * index + 1]!;
        const view = mapping === undefined ? Buffer.alloc(length) : Buffer.from(mapping, offset, length);
        if (mapping === undefined) handle.copyFirst(view);
        this.consuming = true;
        const returned: unknown = handler(view);
        this.consuming = false;
        if (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function') {
          throw new TypeError(
            'The handler of consumeSync returned a promise, but its view ends with the call. Use lease() for work that waits.',
          );
        }
      } catch (error) {
        this.consuming = false;
        if (!this.closed) native(() => handle.giveBackRun());
        throw error;
      }
      if (this.closed) return;
      handle.finishFirst();
    }
  }
}
