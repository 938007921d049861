/** 'sage-queue:work.job': a tracing channel of node:diagnostics_channel around each call of a handler. */
import { tracingChannel } from 'node:diagnostics_channel';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { Awaitable } from '../queue/types';
import type { Job } from './types';

const channel = tracingChannel('sage-queue:work.job');
const events = [channel.start, channel.end, channel.asyncStart, channel.asyncEnd, channel.error];

/** Nothing is built unless somebody subscribed. */
export function traceJob(queue: QueueDescriptor, job: Job, handler: () => Awaitable<void>): Awaitable<void> {
  if (!events.some((event) => event.hasSubscribers)) return handler();
  const { deliveries, crashes } = job;
  return channel.tracePromise(async () => handler(), { queue, deliveries, crashes });
}
