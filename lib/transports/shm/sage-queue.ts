/** `sage_queue`: `shm`'s core with namespaces, owners and bytes in place, without a copy on the way in or out. */
import { viewOf } from '../../util/buffer-view';
import { syncDispose } from '../../util/dispose';
import { ItemTooLargeError, QueueFullError, QueueShutDownError } from '../../errors';
import {
  MAX_BATCH,
  REGISTER_HELD,
  REGISTER_HOLDER,
  REGISTER_LENGTH,
  REGISTER_OFFSET,
  REGISTER_TABLE,
  SHUT,
  TOO_LARGE,
  fromNative,
  native,
} from './addon';
import { waitOf } from './attachment';
import { block } from './blocking';
import type { Holder } from './holder';
import type { Claim, SageQueue as SageQueueInterface, SyncWaitOptions } from '../../queue/types';
import { readMax, SYNC_WAIT_OPTIONS } from '../../wait/options';
import { ShmQueue } from './shm-queue';
import { emptyError, refuseGet, takesNoMore } from './status-errors';

/** A view of the mapping keeps its handle, so that the memory under it is not another one's because a queue was forgotten. */
const owners = new WeakMap<ArrayBuffer, Holder>();

/** What a register holds. */
const LARGEST_WORD = 2 ** 31 - 1;

const noRoom = (): QueueFullError => new QueueFullError('The queue has no room for the claim (items or bytes).');

/** The handle, to its claim. */
interface Claimant extends Holder {
  commitClaim(view: Buffer): void;
  abortClaim(): void;
}

class OpenClaim implements Claim {
  private open = true;

  constructor(
    private readonly queue: Claimant,
    private readonly view: Buffer,
  ) {}

  get bytes(): Uint8Array {
    if (!this.open) throw new TypeError('The claim has ended: its bytes belong to the queue now.');
    return this.view;
  }

  commit(): void {
    this.queue.check();
    if (!this.open) throw new TypeError('The claim has ended already.');
    this.open = false;
    this.queue.commitClaim(this.view);
  }

  abort(): void {
    if (!this.open) return;
    this.open = false;
    this.queue.abortClaim();
  }

  [syncDispose](): void {
    this.abort();
  }
}

export class SageQueue<T = unknown> extends ShmQueue<T> implements SageQueueInterface<T> {
  private claimOpen = false;
  private consuming = false;
  private memory: ArrayBuffer | undefined;
  /** Of the run that a handler is at: (offset, length) pairs, and its hand. The handler may use this queue too, and the registers with it. */
  private readonly run = new Int32Array(2 * MAX_BATCH);
  private hand = 0;

  claimSync(bytes: number, options?: SyncWaitOptions): Claim {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new RangeError(`A claim is for a non-negative integer number of bytes, found ${String(bytes)}.`);
    }
    if (this.claimOpen) {
      throw new TypeError('One claim per handle may be open at a time: commit() or abort() the one before.');
    }
    this.check();
    const memory = this.bytesInPlace();
    // The way of most calls, without a closure: there is room.
    const isRoom = options === undefined && bytes <= LARGEST_WORD && this.claimNow(bytes) === undefined;
    const offset = isRoom ? this.native.registers[REGISTER_OFFSET]! : this.awaitRoom(bytes, options);
    this.claimOpen = true;
    return new OpenClaim(this, memory === undefined ? this.bytesApart(bytes) : viewOf(memory, offset, bytes));
  }

  /** Where the runtime forbids views of foreign memory, the bytes are copied at commit. */
  private bytesApart(bytes: number): Buffer {
    try {
      return Buffer.alloc(bytes);
    } catch (error) {
      this.abortClaim();
      throw error;
    }
  }

  /** A status, where there is no room now. */
  private claimNow(bytes: number): number | undefined {
    const { registers } = this.native;
    registers[REGISTER_LENGTH] = bytes;
    registers[REGISTER_HOLDER] = this.attachment.holder;
    try {
      return this.native.claimNow();
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Where the room lies. After the wait others are served, which may run a codec that uses this handle, or closes it. */
  private awaitRoom(bytes: number, options: SyncWaitOptions | undefined): number {
    this.claimOpen = true;
    try {
      const offset = block(this, 'put', options, noRoom, (waitMs) => this.tryClaim(bytes, waitMs));
      this.check();
      return offset;
    } catch (error) {
      this.claimOpen = false;
      throw error;
    }
  }

  /** Where the room lies. Undefined: there is none yet. */
  private tryClaim(bytes: number, waitMs: number): number | undefined {
    const status = native(() => this.native.claim(bytes, waitMs, this.attachment.holder));
    if (status === 0) return this.native.registers[REGISTER_OFFSET]!;
    if (status === SHUT) throw takesNoMore();
    if (status === TOO_LARGE) {
      throw new ItemTooLargeError(
        `A claim of ${bytes} bytes can never fit into this queue. Make it with a larger capacityBytes.`,
      );
    }
    return undefined;
  }

  /** The mapping, asked for once. */
  private bytesInPlace(): ArrayBuffer | undefined {
    if (this.memory !== undefined) return this.memory;
    this.memory = this.native.mapping();
    if (this.memory !== undefined) owners.set(this.memory, this);
    return this.memory;
  }

  /** @internal for its claim alone, while the handle is open */
  commitClaim(view: Buffer): void {
    this.claimOpen = false;
    const { native: entry } = this;
    const { holder } = this.attachment;
    let status: number | undefined;
    try {
      if (this.memory === undefined) entry.fillClaim(holder, view);
      entry.registers[REGISTER_HOLDER] = holder;
      status = entry.commit();
    } catch (error) {
      throw fromNative(error);
    }
    if (status !== undefined)
      throw new QueueShutDownError('The queue was shut down at once: the claim is dropped with what lay in it.');
  }

  /** @internal for its claim alone */
  abortClaim(): void {
    this.claimOpen = false;
    if (!this.closed) native(() => this.native.abort(this.attachment.holder));
  }

  /** What is left of views must be empty, not a window on memory that is others' now. */
  override closeSync(): void {
    if (!this.closed && this.memory !== undefined) this.native.detach(this.memory);
    this.memory = undefined;
    super.closeSync();
  }

  consumeSync(handler: (view: Uint8Array) => void, max?: number, options?: SyncWaitOptions): number {
    if (typeof handler !== 'function') throw new TypeError('consumeSync takes a function as its first argument.');
    if (max !== undefined && readMax(max) === 0) {
      waitOf(this, options, SYNC_WAIT_OPTIONS);
      return 0;
    }
    if (this.consuming) throw new TypeError('The handler of consumeSync may not consume from the same handle.');
    this.check();
    this.bytesInPlace();
    // Without a limit: what is there now, not what a fast producer adds meanwhile.
    const limit = max ?? Math.max(1, this.qsizeSync());
    let handled = 0;
    let count = this.awaitRun(limit, options);
    while (count > 0) {
      handled += this.handleRun(handler, count);
      if (this.closed) break;
      // That nothing more will come is for the next call to say.
      count = this.takeNext(limit - handled);
    }
    return handled;
  }

  /** Takes up to `most` items: how many. As in awaitRoom(). */
  private awaitRun(most: number, options: SyncWaitOptions | undefined): number {
    // The way of most calls, without a closure: something is there.
    const found = options === undefined ? this.takeRun(most, 0) : undefined;
    if (found !== undefined) return found;
    this.consuming = true;
    try {
      const count = block(this, 'get', options, emptyError, (waitMs) => this.takeRun(most, waitMs));
      this.check();
      return count;
    } finally {
      this.consuming = false;
    }
  }

  /** Undefined: there is none yet. */
  private takeRun(most: number, waitMs: number): number | undefined {
    let status: number;
    try {
      status = this.native.takeBatch(Math.min(MAX_BATCH, most), waitMs, this.attachment.holder);
    } catch (error) {
      throw fromNative(error);
    }
    refuseGet(status);
    return status > 0 ? this.keepRun(status) : undefined;
  }

  /** The last item of the run is done with, and up to `most` others are taken: how many, or a status. */
  private takeNext(most: number): number {
    const { registers } = this.native;
    registers[REGISTER_HELD] = this.hand;
    registers[REGISTER_LENGTH] = Math.min(MAX_BATCH, most);
    let status: number | undefined;
    try {
      status = this.native.takeNext();
    } catch (error) {
      throw fromNative(error);
    }
    return status ?? this.keepRun(registers[REGISTER_LENGTH]!);
  }

  /** What the registers say of a run that was taken, before anybody else uses them. */
  private keepRun(count: number): number {
    const { registers } = this.native;
    const table = this.run;
    for (let word = 0; word < 2 * count; word++) table[word] = registers[REGISTER_TABLE + word]!;
    this.hand = registers[REGISTER_HELD]!;
    return count;
  }

  private copyOfFirst(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    native(() => this.native.copyFirst(this.hand, bytes));
    return bytes;
  }

  /**
   * Hands each item of the run to the handler; if one is refused, it and those behind it go back. Returns how many were handled; the last of
   * the run is in the hand still.
   */
  private handleRun(handler: (view: Uint8Array) => void, count: number): number {
    const { native: entry, run: table, hand } = this;
    const memory = this.bytesInPlace();
    for (let index = 0; index < count; index++) {
      const offset = table[2 * index]!;
      const length = table[2 * index + 1]!;
      // Outside the try block, as in block().
      const inPlace = memory === undefined ? undefined : viewOf(memory, offset, length);
      try {
        const view = inPlace ?? this.copyOfFirst(length);
        this.consuming = true;
        const returned: unknown = handler(view);
        // The look at it may run a getter of the handler's.
        if (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function') {
          throw new TypeError(
            'The handler of consumeSync returned a promise, but its view ends with the call. Use lease() for work that waits.',
          );
        }
        this.consuming = false;
      } catch (error) {
        this.consuming = false;
        if (!this.closed) native(() => entry.endHand(hand, 0));
        throw error;
      }
      // The handler closed the queue: this item went back, too.
      if (this.closed) return index;
      if (index === count - 1) break;
      entry.registers[REGISTER_HELD] = hand;
      entry.ackFirst();
    }
    return count;
  }
}
