/** The puts of one frame: neighbours that wait alike travel as one. */
import { ItemBatch } from '../wire/item-batch';
import { BATCH_BYTES, BATCH_ITEMS } from '../wire/protocol';
import type { Put } from '../wire/protocol';
import type { PutCall } from './put-call';

export class PutFrameBuilder {
  private readonly puts: Put[] = [];
  private items = 0;
  private bytes = 0;
  /** The last of `puts`, whose items are still coming. */
  private last: { put: Put; parts: ItemBatch[]; timeoutMs: number; joinable: boolean } | undefined;

  hasRoomFor(bytes: number): boolean {
    return this.items === 0 || (this.items < BATCH_ITEMS && this.bytes + bytes <= BATCH_BYTES);
  }

  reserve(bytes: number): void {
    this.items++;
    this.bytes += bytes;
  }

  /** Items of one call, which take the numbers from `sequence` on. */
  add(call: PutCall, items: ItemBatch, sequence: number): void {
    const { timeoutMs } = call.deadline;
    // A group keeps to itself.
    const joinable = call.group === 0;
    if (this.last === undefined || !joinable || !this.last.joinable || this.last.timeoutMs !== timeoutMs) {
      this.endLast();
      const put: Put = { sequence, group: call.group, waitMs: call.deadline.remainingMs() };
      this.puts.push(put);
      this.last = { put, parts: [], timeoutMs, joinable };
    }
    this.last.parts.push(items);
  }

  /** @param known every put up to this number has a known outcome */
  finish(known: number): Put[] | undefined {
    if (this.last === undefined) return undefined;
    this.endLast();
    this.puts[0]!.knownPuts = known;
    return this.puts;
  }

  private endLast(): void {
    if (this.last !== undefined) this.last.put.items = ItemBatch.join(this.last.parts).toWire();
  }
}
