import type { ItemBatch } from '../transports/rpc/wire/item-batch';

/** Items on lease to a session, taken together. */
export interface LeasedBatch {
  readonly items: ItemBatch;
  /** How often each one has been delivered; undefined: all of them for the first time. */
  readonly deliveries: number[] | undefined;
  /** Ends the leases from … to - 1, none of which has ended yet. */
  ack(from: number, to: number): void | Promise<void>;
  /** … in order, ahead of what was not taken yet. @param seen false: where the queue can, as if they had not been delivered */
  release(from: number, to: number, seen: boolean): void | Promise<void>;
}
