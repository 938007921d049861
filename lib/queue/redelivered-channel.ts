/** `sage-queue:redelivered` of node:diagnostics_channel: each lease of an item that was on lease before. */
import { channel } from 'node:diagnostics_channel';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { Lease } from './types';

/** What subscribers of `sage-queue:redelivered` get. */
export interface RedeliveredMessage {
  readonly queue: QueueDescriptor;
  readonly deliveries: number;
  readonly crashes: number;
}

const redelivered = channel('sage-queue:redelivered');

/** Of leases that a program is given. Nothing is built unless somebody subscribed. */
export function tellRedelivered(queue: QueueDescriptor, given: { readonly leases: readonly Lease<unknown>[] }): void {
  if (!redelivered.hasSubscribers) return;
  for (const { deliveries, crashes } of given.leases) {
    const message: RedeliveredMessage = { queue, deliveries, crashes };
    if (deliveries > 1) redelivered.publish(message);
  }
}
