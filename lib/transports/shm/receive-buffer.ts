/**
 * Items on their way out: they land in memory of JavaScript's own, which is handed out in pieces.
 *
 * To decode an item may run what a user registered, and that may use this very queue: take items of its own, close the handle, shut the
 * queue down. So before anything is decoded its place in the memory is taken, and what the registers say of it is known or copied; and
 * afterwards it is looked whether the handle is open still. If it is not, what was in its hands has gone back.
 */
import { CODEC_RAW, decodesByCopy, decodeItem, FIRST_CUSTOM_ID } from '../../codec/registry';
import { isUnknownSchema } from '../../codec/struct/codec';
import {
  EMPTY,
  LARGE,
  MAX_BATCH,
  REGISTER_CODEC,
  REGISTER_HELD,
  REGISTER_LEASE_IDS,
  REGISTER_LENGTH,
  REGISTER_TABLE,
  native,
} from './addon';
import type { NativeEntry } from './native-entry';
import type { Holder } from './holder';
import { viewOf } from '../../util/buffer-view';
import { forbidTransfer } from '../../util/shared-memory';
import { itemMemory } from './item-memory';
import { endLeases } from './leases';
import type { LeasedItems } from './leases';
import { refuseGet } from './status-errors';

const NOTHING = Buffer.alloc(0);
const POOL_BYTES = 64 * 1024;
/** With less room than this a new one is begun. */
const LEAST_ROOM = 4 * 1024;

export class ReceiveBuffer {
  private buffer = NOTHING;
  private memory: ArrayBufferLike = NOTHING.buffer;
  /** Where the next item goes. */
  offset = 0;

  constructor(private readonly entry: NativeEntry) {}

  /** Before every get: makes sure that a usual item fits. */
  ready(): void {
    if (this.buffer.length - this.offset < LEAST_ROOM) this.renew();
  }

  private renew(): void {
    this.buffer = itemMemory(POOL_BYTES);
    this.memory = this.buffer.buffer;
    forbidTransfer(this.memory);
    this.offset = 0;
    this.entry.setReceiveBuffer(this.buffer);
  }

  /** The next item, if one comes within `waitMs`. */
  get<T>(queue: Holder, waitMs: number): { value: T } | undefined {
    this.ready();
    return this.received<T>(
      queue,
      native(() => this.entry.get(this.offset, waitMs, queue.attachment.holder)),
    );
  }

  /** The item that a get brought here, or that waits to be fetched. Undefined: there was none. */
  received<T>(queue: Holder, status: number): { value: T } | undefined {
    if (status >= 0) return { value: this.take<T>(status, this.entry.registers[REGISTER_CODEC]!) };
    if (status === LARGE) return this.fetchLarge<T>(queue, true);
    refuseGet(status);
    return undefined;
  }

  /** The item of `length` bytes at the offset. Items that are not copied by their decoding keep their place. */
  take<T>(length: number, codec: number): T {
    const start = this.offset;
    const end = start + length;
    if (decodesByCopy(codec)) return decodeItem(codec, this.buffer, start, end) as T;
    this.offset = (end + 7) & ~7;
    if (codec === CODEC_RAW) return viewOf(this.memory, start, length) as T;
    return decodeItem(codec, this.buffer.subarray(start, end)) as T;
  }

  /**
   * An item that is too large for it, or whose schema may be unknown here. Undefined: it cannot be had or decoded, the error is not for this
   * call to say (`tell`), and it went back.
   */
  private fetchLarge<T>(queue: Holder, tell: boolean): { value: T } | undefined {
    const { entry } = this;
    const { registers } = entry;
    const codec = registers[REGISTER_CODEC]!;
    const hand = registers[REGISTER_HELD]!;
    let bytes: Buffer;
    try {
      bytes = itemMemory(registers[REGISTER_LENGTH]!);
      native(() => entry.copyFirst(hand, bytes));
    } catch (error) {
      // There is no memory for it here: another one may have some.
      native(() => entry.endHand(hand, 0, true));
      if (tell) throw error;
      return undefined;
    }
    try {
      const value = decodeItem(codec, bytes) as T;
      queue.check();
      native(() => entry.endHand(hand, 1, true));
      return { value };
    } catch (error) {
      queue.check();
      native(() => entry.endHand(hand, tell ? removedBy(error) : 0, true));
      if (tell) throw error;
      return undefined;
    }
  }

  /** What comes within `waitMs`, of one batch and up to `max` items. Or a status. */
  getMany<T>(queue: Holder, max: number, waitMs: number): T[] | number {
    const count = this.takeMany(queue, max, waitMs);
    if (count <= 0 && count !== LARGE) return count;
    if (this.isRaw(count)) return this.raw<T>(count);
    const items: T[] = [];
    return this.decodeTaken(queue, items, count) > 0 ? items : EMPTY;
  }

  /** Adds what is there now, of one batch and up to `max` items in all. Returns how many it added, or a status. */
  addMany<T>(queue: Holder, items: T[], max: number): number {
    const count = this.takeMany(queue, max - items.length, 0);
    if (count <= 0 && count !== LARGE) return count;
    if (!this.isRaw(count)) return this.decodeTaken(queue, items, count);
    items.push(...this.raw<T>(count));
    return count;
  }

  private takeMany(queue: Holder, max: number, waitMs: number): number {
    this.ready();
    return native(() => this.entry.getMany(this.offset, Math.min(MAX_BATCH, max), waitMs, queue.attachment.holder));
  }

  /** Whether all of them are, and done with. */
  private isRaw(count: number): boolean {
    return count > 0 && this.entry.registers[REGISTER_CODEC] === CODEC_RAW;
  }

  /** Adds what is in hand: so many items that lie here, or one that is too large for that. */
  private decodeTaken<T>(queue: Holder, items: T[], count: number): number {
    const before = items.length;
    try {
      if (count > 0) return this.decodeMany(queue, items, count);
      const outcome = this.fetchLarge<T>(queue, before === 0);
      if (outcome === undefined) return EMPTY;
      items.push(outcome.value);
      return 1;
    } catch (error) {
      // Closed by what it decoded. The call has what it took before, and nothing of what went back.
      if (before === 0 || queue.attachment.isOpen) throw error;
      return EMPTY;
    }
  }

  /** Leases what comes within `waitMs`, up to `max` items in all, and adds them to both lists. Returns how many, or a status. */
  leaseMany<T>(queue: Holder, items: T[], held: LeasedItems, max: number, waitMs: number): number {
    this.ready();
    const { entry } = this;
    const { registers } = entry;
    const { holder } = queue.attachment;
    const count = native(() => entry.leaseMany(this.offset, Math.min(MAX_BATCH, max - items.length), waitMs, holder));
    if (count === LARGE) return this.leaseLarge(queue, items, held);
    if (count <= 0) return count;
    if (registers[REGISTER_CODEC] !== CODEC_RAW) return this.decodeLeased(queue, items, held, count);
    held.add(registers, count);
    items.push(...this.raw<T>(count));
    return count;
  }

  /** Adds a lease that did not fit into the receive buffer. As fetchLarge(). */
  private leaseLarge<T>(queue: Holder, items: T[], held: LeasedItems): number {
    const { entry } = this;
    const { registers } = entry;
    let bytes: Buffer;
    try {
      bytes = itemMemory(registers[REGISTER_LENGTH]!);
      native(() => entry.copyLease(registers[REGISTER_LEASE_IDS]!, bytes));
    } catch (error) {
      native(() => entry.endLeases(1, false, true));
      if (items.length === 0) throw error;
      return EMPTY;
    }
    return this.decodeLeased(queue, items, held, 1, bytes);
  }

  /** Adds leased items; from the first on that cannot be decoded they go back. `large`: the one there is does not lie in it. */
  private decodeLeased<T>(queue: Holder, items: T[], held: LeasedItems, count: number, large?: Buffer): number {
    const { entry } = this;
    let { registers } = entry;
    const before = items.length;
    const { buffer, memory } = this;
    let start = large === undefined ? this.keepPlace(count) : 0;
    let done = 0;
    try {
      for (; done < count; done++) {
        const codec = registers[large === undefined ? REGISTER_TABLE + 2 * done + 1 : REGISTER_CODEC]!;
        const length = registers[REGISTER_TABLE + 2 * done]!;
        // As in decodeMany.
        if (codec >= FIRST_CUSTOM_ID && registers === entry.registers) registers = registers.slice();
        items.push(
          large === undefined ? decodeIn<T>(buffer, memory, start, length, codec) : (decodeItem(codec, large) as T),
        );
        start += length;
        queue.check();
      }
    } catch (error) {
      queue.check();
      // As in decodeMany.
      const isFirst = before + done === 0;
      const removed = isFirst ? removedBy(error) : 0;
      const ids = Array.from(registers.subarray(REGISTER_LEASE_IDS, REGISTER_LEASE_IDS + count));
      endLeases(entry, ids, 0, removed, 'ack');
      endLeases(entry, ids, done + removed, count, 'undo');
      if (isFirst) throw error;
      if (done === 0) return EMPTY;
    }
    held.add(registers, done);
    return done;
  }

  /** Views of `count` raw items that lie one after the other from the offset on, in an array made for them. */
  private raw<T>(count: number): T[] {
    const { memory } = this;
    const { registers } = this.entry;
    const items = new Array<T>(count);
    let start = this.offset;
    for (let index = 0; index < count; index++) {
      const length = registers[REGISTER_TABLE + 2 * index]!;
      items[index] = viewOf(memory, start, length) as T;
      start += length;
    }
    this.offset = (start + 7) & ~7;
    return items;
  }

  /** What is taken meanwhile goes behind the `count` items of the table. Returns where they begin. */
  private keepPlace(count: number): number {
    const { registers } = this.entry;
    const start = this.offset;
    let end = start;
    for (let index = 0; index < count; index++) end += registers[REGISTER_TABLE + 2 * index]!;
    this.offset = (end + 7) & ~7;
    return start;
  }

  /** Adds the items of a hand that lie here; from the first on that cannot be decoded they go back. Returns how many it added. */
  private decodeMany<T>(queue: Holder, items: T[], count: number): number {
    const { entry, buffer, memory } = this;
    let { registers } = entry;
    const hand = registers[REGISTER_HELD]!;
    const before = items.length;
    let start = this.keepPlace(count);
    let done = 0;
    try {
      for (; done < count; done++) {
        const length = registers[REGISTER_TABLE + 2 * done]!;
        const codec = registers[REGISTER_TABLE + 2 * done + 1]!;
        // A user's codec may have the registers written anew.
        if (codec >= FIRST_CUSTOM_ID && registers === entry.registers) registers = registers.slice();
        items.push(decodeIn<T>(buffer, memory, start, length, codec));
        start += length;
        if (!queue.attachment.isOpen) break;
      }
    } catch (error) {
      // Only the first of a call is removed and reported: what was taken before it must not be lost to its error.
      if (before + done === 0 && queue.attachment.isOpen) {
        native(() => entry.endHand(hand, removedBy(error), true));
        throw error;
      }
    }
    if (!queue.attachment.isOpen) items.length = before;
    queue.check();
    native(() => entry.endHand(hand, done, true));
    return done;
  }
}

/** How many items are gone by an item that cannot be decoded: one of a schema that others know stays for them. */
const removedBy = (error: unknown): number => (isUnknownSchema(error) ? 0 : 1);

function decodeIn<T>(buffer: Buffer, memory: ArrayBufferLike, start: number, length: number, codec: number): T {
  if (codec === CODEC_RAW) return viewOf(memory, start, length) as T;
  if (decodesByCopy(codec)) return decodeItem(codec, buffer, start, start + length) as T;
  return decodeItem(codec, buffer.subarray(start, start + length)) as T;
}
