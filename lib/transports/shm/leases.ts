/** Items on loan: one by one, or as they lie. */
import type { EncodedLeases } from '../../queue/encoded-source';
import { LeaseRun, leaseLostError } from '../../queue/lease-table';
import { decodeItem } from '../../codec/registry';
import { asyncDispose, syncDispose } from '../../util/dispose';
import { REGISTER_CODEC, REGISTER_DELIVERIES, REGISTER_LENGTH, native } from './addon';
import type { NativeHandle } from './addon';
import type { NativeLease } from '../../queue/types';
import { refuseGet } from './status-errors';

/** Undefined: there was nothing to lend. */
export function tryLease<T>(
  handle: NativeHandle,
  isOpen: () => boolean,
  waitMs: number,
): { value: NativeLease<T> } | undefined {
  const id = native(() => handle.lease(waitMs));
  if (id < 0) {
    refuseGet(id);
    return undefined;
  }
  const { registers } = handle;
  const codec = registers[REGISTER_CODEC]!;
  const deliveries = registers[REGISTER_DELIVERIES]!;
  const bytes = Buffer.allocUnsafeSlow(registers[REGISTER_LENGTH]!);
  native(() => handle.copyLease(id, bytes));
  let open = true;
  const end = (acknowledge: boolean): void => {
    if (!open) return;
    open = false;
    if (isOpen()) native(() => handle.endLease(id, acknowledge));
    else if (acknowledge) throw leaseLostError();
  };
  let item: T;
  try {
    item = decodeItem(codec, bytes) as T;
  } catch (error) {
    end(true);
    throw error;
  }
  const value: NativeLease<T> = {
    item,
    deliveries,
    crashes: 0,
    ackSync: () => end(true),
    releaseSync: () => end(false),
    ack: async () => end(true),
    release: async () => end(false),
    [syncDispose]: () => end(false),
    [asyncDispose]: async () => end(false),
  };
  return { value };
}

/** Up to `max` items on lease as they lie, the last one when they have `maxBytes` together. Undefined: none. */
export function lendEncoded(
  handle: NativeHandle,
  isOpen: () => boolean,
  max: number,
  maxBytes: number,
): EncodedLeases | undefined {
  const { registers } = handle;
  const ids: number[] = [];
  const ends: number[] = [];
  const codecs: number[] = [];
  const deliveries: number[] = [];
  let data = Buffer.alloc(0);
  let used = 0;
  native(() => {
    while (ids.length < max && used < maxBytes) {
      const id = handle.lease(0);
      if (id < 0) {
        if (ids.length === 0) refuseGet(id);
        break;
      }
      const length = registers[REGISTER_LENGTH]!;
      codecs.push(registers[REGISTER_CODEC]!);
      deliveries.push(registers[REGISTER_DELIVERIES]!);
      if (used + length > data.length) {
        const larger = Buffer.allocUnsafeSlow(max === 1 ? length : Math.max(used + length, 2 * data.length, 4096));
        larger.set(data.subarray(0, used));
        data = larger;
      }
      handle.copyLease(id, data.subarray(used, used + length));
      used += length;
      ids.push(id);
      ends.push(used);
    }
  });
  if (ids.length === 0) return undefined;
  const run = new LeaseRun(ids.length, {
    end: (from, to, acknowledge) => {
      if (!isOpen()) return;
      native(() => {
        if (acknowledge) for (let index = from; index < to; index++) handle.endLease(ids[index]!, true);
        else for (let index = to - 1; index >= from; index--) handle.endLease(ids[index]!, false);
      });
    },
    deliveries: (index) => deliveries[index]!,
    crashes: () => 0,
  });
  return { run, items: { data: data.subarray(0, used), ends, codecs }, more: used >= maxBytes };
}
