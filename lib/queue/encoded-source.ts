/**
 * What a queue may offer beside `Queue` to whoever passes items on without reading them: it lends them encoded, and its put and putMany
 * take a `SealedItem` as it is.
 */
import type { SealedItem } from '../codec/encoded-item';
import type { EncodedItem } from '../codec/registry';
import type { LeaseRun } from './lease-table';
import type { WaitOptions } from './types';

export interface EncodedLeases {
  readonly run: LeaseRun;
  /** The items one by one, or one after the other in `data`. */
  readonly items: readonly (SealedItem | EncodedItem)[] | EncodedColumns;
  /** Something other than `max` ended them: there may be more. */
  readonly more: boolean;
}

export interface EncodedColumns {
  readonly data: Buffer;
  /** Where each item ends. */
  readonly ends: readonly number[];
  readonly codecs: readonly number[];
}

export interface EncodedLender {
  /**
   * Waits for one item, then lends what is there as it lies: up to `max` items, the last one when they have `maxBytes` together. Over a connection
   * it may be more bytes.
   * @throws SerializationError for a first item that cannot be encoded; it stays
   */
  leaseEncoded(max: number, maxBytes: number, options?: WaitOptions): Promise<EncodedLeases>;
}

export interface EncodedSource extends EncodedLender {
  /**
   * Up to `max` items on lease as they lie, the last one when they have `maxBytes` together. Undefined: none, or others wait for them.
   * @throws SerializationError for a first item that cannot be encoded; it stays
   */
  lendEncoded(max: number, maxBytes: number): EncodedLeases | undefined;
  /** The schemas of its items as text; none for a queue without. */
  schemas(): readonly Uint8Array[];
}

export function isEncodedLender<Q extends object>(queue: Q): queue is Q & EncodedLender {
  return typeof (queue as Partial<EncodedLender>).leaseEncoded === 'function';
}

export function isEncodedSource<Q extends object>(queue: Q): queue is Q & EncodedSource {
  return typeof (queue as Partial<EncodedSource>).lendEncoded === 'function';
}
