/** Items on lease: one, several together, or as they lie. */
import type { EncodedLeases } from '../../queue/encoded-source';
import { HeldLease } from '../../queue/held-lease';
import { LeaseRun, leaseLostError } from '../../queue/lease-table';
import type { HeldItems, LeaseEnd } from '../../queue/lease-table';
import { syncDispose } from '../../util/dispose';
import {
  MAX_BATCH,
  REGISTER_CODEC,
  REGISTER_CRASHES,
  REGISTER_DELIVERIES,
  REGISTER_LEASE_CRASHES,
  REGISTER_LEASE_DELIVERIES,
  REGISTER_LEASE_IDS,
  REGISTER_LENGTH,
  native,
} from './addon';
import type { NativeEntry } from './native-entry';
import type { Holder } from './holder';
import { itemMemory } from './item-memory';
import type { NativeLease } from '../../queue/types';
import { refuseGet } from './status-errors';

/** One item on lease. */
export class ShmLease<T> extends HeldLease<T> implements NativeLease<T> {
  readonly ackSync: () => void;
  readonly releaseSync: () => void;
  readonly [syncDispose]: () => void;

  /** @param held it alone */
  constructor(item: T, held: HeldItems) {
    let open = true;
    const end = (acknowledge: boolean): void => {
      if (!open) return;
      open = false;
      held.end(0, 1, acknowledge);
    };
    super(item, held.deliveries(0), held.crashes(0), end);
    this.ackSync = () => end(true);
    this.releaseSync = () => end(false);
    this[syncDispose] = this.releaseSync;
  }
}

/** Names leases to the addon, in as few crossings as it takes. */
function crossWith(
  { registers }: NativeEntry,
  ids: readonly number[],
  [from, to]: [number, number],
  call: (count: number) => void,
): void {
  for (let start = from; start < to; start += MAX_BATCH) {
    const count = Math.min(MAX_BATCH, to - start);
    for (let index = 0; index < count; index++) registers[REGISTER_LEASE_IDS + index] = ids[start + index]!;
    native(() => call(count));
  }
}

/** Those that go back come again in the order of their items. */
export const endLeases = (entry: NativeEntry, ids: readonly number[], from: number, to: number, how: LeaseEnd): void =>
  crossWith(entry, ids, [from, to], (count) => entry.endLeases(count, how === 'ack', how === 'undo'));

/** Items on lease together, and what is known of each. Plain arrays: the memory of a typed one of this size is not the heap's. */
export class LeasedItems implements HeldItems {
  private readonly ids: number[] = [];
  /** Deliveries and crashes of those that were not delivered for the first time, by their place. */
  private returned: Map<number, { deliveries: number; crashes: number }> | undefined;

  /** @param queue whose they are; they keep it */
  constructor(
    private readonly queue: Holder,
    private readonly entry: NativeEntry,
  ) {}

  /** The first `count` of those that the registers speak of. */
  add(registers: Int32Array, count: number): void {
    for (let index = 0; index < count; index++) {
      const deliveries = registers[REGISTER_LEASE_DELIVERIES + index]!;
      const crashes = registers[REGISTER_LEASE_CRASHES + index]!;
      if (deliveries !== 1 || crashes !== 0)
        (this.returned ??= new Map()).set(this.ids.length, { deliveries, crashes });
      this.ids.push(registers[REGISTER_LEASE_IDS + index]!);
    }
  }

  end(from: number, to: number, acknowledge: boolean): void {
    if (this.queue.attachment.isOpen) endLeases(this.entry, this.ids, from, to, acknowledge ? 'ack' : 'release');
    else if (acknowledge) throw leaseLostError();
  }

  undo(from: number, to: number): void {
    if (this.queue.attachment.isOpen) endLeases(this.entry, this.ids, from, to, 'undo');
  }

  setAside(from: number, to: number, aside: boolean): void {
    const { queue, entry, ids } = this;
    if (queue.attachment.isOpen) crossWith(entry, ids, [from, to], (count) => entry.setAside(count, aside));
  }

  deliveries(index: number): number {
    return this.returned?.get(index)?.deliveries ?? 1;
  }

  crashes(index: number): number {
    return this.returned?.get(index)?.crashes ?? 0;
  }
}

/** Up to `max` items on lease as they lie, the last one when they have `maxBytes` together. Undefined: none. */
export function lendEncoded(
  queue: Holder,
  entry: NativeEntry,
  max: number,
  maxBytes: number,
): EncodedLeases | undefined {
  const { holder } = queue.attachment;
  const { registers } = entry;
  const ids: number[] = [];
  const ends: number[] = [];
  const codecs: number[] = [];
  const deliveries: number[] = [];
  const crashes: number[] = [];
  let data = Buffer.alloc(0);
  let used = 0;
  const add = (id: number): void => {
    const length = registers[REGISTER_LENGTH]!;
    if (used + length > data.length) {
      const larger = itemMemory(max === 1 ? length : Math.max(used + length, 2 * data.length, 4096));
      larger.set(data.subarray(0, used));
      data = larger;
    }
    entry.copyLease(id, data.subarray(used, used + length));
    used += length;
    ids.push(id);
    ends.push(used);
    codecs.push(registers[REGISTER_CODEC]!);
    deliveries.push(registers[REGISTER_DELIVERIES]!);
    crashes.push(registers[REGISTER_CRASHES]!);
  };
  native(() => {
    while (ids.length < max && used < maxBytes) {
      const id = entry.lease(0, holder);
      if (id < 0) {
        if (ids.length === 0) refuseGet(id);
        break;
      }
      try {
        add(id);
      } catch (error) {
        // There is no memory for it: as if it had not been seen. Those before it go out.
        endLeases(entry, [id], 0, 1, 'undo');
        if (ids.length === 0) throw error;
        break;
      }
    }
  });
  if (ids.length === 0) return undefined;
  const run = new LeaseRun(ids.length, {
    end: (from, to, acknowledge) => {
      if (queue.attachment.isOpen) endLeases(entry, ids, from, to, acknowledge ? 'ack' : 'release');
    },
    undo: (from, to) => {
      if (queue.attachment.isOpen) endLeases(entry, ids, from, to, 'undo');
    },
    deliveries: (index) => deliveries[index]!,
    crashes: (index) => crashes[index]!,
  });
  return { run, items: { data: data.subarray(0, used), ends, codecs }, more: used >= maxBytes };
}
