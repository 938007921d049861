/** Items on their way out: they land in memory of JavaScript's own, which is handed out in pieces. */
import { CODEC_RAW, decodesByCopy, decodeItem } from '../../codec/registry';
import {
  EMPTY,
  LARGE,
  MAX_BATCH,
  REGISTER_CODEC,
  REGISTER_LEASE_IDS,
  REGISTER_LENGTH,
  REGISTER_TABLE,
  native,
} from './addon';
import type { NativeHandle } from './addon';
import { viewOf } from '../../util/buffer-view';
import type { LeasedItems } from './leases';
import { refuseGet } from './status-errors';

const NOTHING = Buffer.alloc(0);
const POOL_BYTES = 64 * 1024;
/** With less room than this a new pool is begun. */
const LEAST_ROOM = 4 * 1024;

export class Pool<T> {
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

  /** The next item, if one comes within `waitMs`. */
  get(waitMs: number): { value: T } | undefined {
    this.ready();
    return this.received(native(() => this.handle.get(this.offset, waitMs)));
  }

  /** The item that a get brought here, or that waits to be fetched. Undefined: there was none. */
  received(status: number): { value: T } | undefined {
    if (status >= 0) return { value: this.take(status, this.handle.registers[REGISTER_CODEC]!) };
    if (status === LARGE) return this.fetchLarge();
    refuseGet(status);
    return undefined;
  }

  /** The item of `length` bytes at the offset. Items that are not copied by their decoding keep their place. */
  take(length: number, codec: number): T {
    const start = this.offset;
    const end = start + length;
    if (decodesByCopy(codec)) return decodeItem(codec, this.buffer, start, end) as T;
    this.offset = (end + 7) & ~7;
    if (codec === CODEC_RAW) return viewOf(this.memory, start, length) as T;
    return decodeItem(codec, this.buffer.subarray(start, end)) as T;
  }

  /** An item too large for the pool. Undefined: it cannot be decoded, `remove` was not asked for, and it went back. */
  private fetchLarge(remove = true): { value: T } | undefined {
    const codec = this.handle.registers[REGISTER_CODEC]!;
    const bytes = Buffer.allocUnsafeSlow(this.handle.registers[REGISTER_LENGTH]!);
    native(() => this.handle.copyTaken(bytes));
    try {
      const value = decodeItem(codec, bytes) as T;
      native(() => this.handle.endTaken(true));
      return { value };
    } catch (error) {
      native(() => this.handle.endTaken(remove));
      if (remove) throw error;
      return undefined;
    }
  }

  /** Adds what comes within `waitMs`, of one run and up to `max` items in all. Returns how many it added, or a status. */
  addMany(items: T[], max: number, waitMs: number): number {
    this.ready();
    const count = native(() => this.handle.getMany(this.offset, Math.min(MAX_BATCH, max - items.length), waitMs));
    if (count === LARGE) {
      const outcome = this.fetchLarge(items.length === 0);
      if (outcome === undefined) return EMPTY;
      items.push(outcome.value);
      return 1;
    }
    if (count <= 0) return count;
    if (this.handle.registers[REGISTER_CODEC] !== CODEC_RAW) return this.decodeMany(items, count);
    this.addRaw(items, count);
    return count;
  }

  /** Leases what comes within `waitMs`, up to `max` items in all, and adds them to both lists. Returns how many, or a status. */
  leaseMany(items: T[], held: LeasedItems, max: number, waitMs: number): number {
    this.ready();
    const { handle } = this;
    const { registers } = handle;
    const count = native(() => handle.leaseMany(this.offset, Math.min(MAX_BATCH, max - items.length), waitMs));
    if (count === LARGE) return this.decodeLeased(items, held, 1, this.copyLeased());
    if (count <= 0) return count;
    if (registers[REGISTER_CODEC] !== CODEC_RAW) return this.decodeLeased(items, held, count);
    held.add(registers, count);
    this.addRaw(items, count);
    return count;
  }

  /** The bytes of a lease that did not fit into the pool. */
  private copyLeased(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.handle.registers[REGISTER_LENGTH]!);
    native(() => this.handle.copyLease(this.handle.registers[REGISTER_LEASE_IDS]!, bytes));
    return bytes;
  }

  /** Adds leased items; from the first on that cannot be decoded they go back. `large`: the one there is does not lie in the pool. */
  private decodeLeased(items: T[], held: LeasedItems, count: number, large?: Buffer): number {
    const { handle } = this;
    // Decoding may run what a user registered, and that may use this queue.
    const registers = handle.registers.slice();
    const before = items.length;
    let start = this.offset;
    // … which then takes items of its own behind these.
    if (large === undefined) {
      let bytes = 0;
      for (let index = 0; index < count; index++) bytes += registers[REGISTER_TABLE + 2 * index]!;
      this.offset = (start + bytes + 7) & ~7;
    }
    const { buffer, memory } = this;
    let done = 0;
    try {
      for (; done < count; done++) {
        if (large !== undefined) {
          items.push(decodeItem(registers[REGISTER_CODEC]!, large) as T);
        } else {
          const length = registers[REGISTER_TABLE + 2 * done]!;
          items.push(decodeIn<T>(buffer, memory, start, length, registers[REGISTER_TABLE + 2 * done + 1]!));
          start += length;
        }
      }
    } catch (error) {
      // As in decodeMany.
      const removed = before + done === 0 ? 1 : 0;
      if (removed === 1) native(() => handle.endLease(registers[REGISTER_LEASE_IDS]!, true));
      for (let index = count - 1; index >= done + removed; index--)
        native(() => handle.endLease(registers[REGISTER_LEASE_IDS + index]!, false));
      if (removed === 1) throw error;
      if (done === 0) return EMPTY;
    }
    held.add(registers, done);
    return done;
  }

  /** Adds a view of each of `count` raw items that lie one after the other from the offset on. */
  private addRaw(items: T[], count: number): void {
    const { memory } = this;
    const { registers } = this.handle;
    let start = this.offset;
    for (let index = 0; index < count; index++) {
      const length = registers[REGISTER_TABLE + 2 * index]!;
      items.push(viewOf(memory, start, length) as T);
      start += length;
    }
    this.offset = (start + 7) & ~7;
  }

  /** Adds the items of a run that lies here; from the first on that cannot be decoded they go back. Returns how many it added. */
  private decodeMany(items: T[], count: number): number {
    const { handle } = this;
    const { registers } = handle;
    const before = items.length;
    let start = this.offset;
    let done = 0;
    try {
      for (; done < count; done++) {
        const length = registers[REGISTER_TABLE + 2 * done]!;
        items.push(this.decodeAt(start, length, registers[REGISTER_TABLE + 2 * done + 1]!));
        start += length;
      }
    } catch (error) {
      // Only the first of a call is removed and reported: what was taken before it must not be lost to its error.
      if (before + done === 0) {
        native(() => handle.endMany(1));
        throw error;
      }
    }
    this.offset = (start + 7) & ~7;
    native(() => handle.endMany(done));
    return done;
  }

  private decodeAt(start: number, length: number, codec: number): T {
    return decodeIn<T>(this.buffer, this.memory, start, length, codec);
  }
}

function decodeIn<T>(buffer: Buffer, memory: ArrayBufferLike, start: number, length: number, codec: number): T {
  if (codec === CODEC_RAW) return viewOf(memory, start, length) as T;
  if (decodesByCopy(codec)) return decodeItem(codec, buffer, start, start + length) as T;
  return decodeItem(codec, buffer.subarray(start, start + length)) as T;
}
