/** `sage-queue:open` and `sage-queue:close` of node:diagnostics_channel: the life of each handle that this process resolves. */
import { channel } from 'node:diagnostics_channel';
import { QueueClosedError } from '../errors';
import { onHandleEnd } from '../queue/handle-end';
import type { EndingHandle } from '../queue/handle-end';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { Queue } from '../queue/types';

/** What subscribers of `sage-queue:open` get. */
export interface OpenMessage {
  readonly queue: QueueDescriptor;
}

/** What subscribers of `sage-queue:close` get. */
export interface CloseMessage {
  readonly queue: QueueDescriptor;
  /** The collector found that nobody could reach the handle. */
  readonly collected: boolean;
}

const opens = channel('sage-queue:open');
const closes = channel('sage-queue:close');

const collected = new FinalizationRegistry<QueueDescriptor>((queue) => tellClosed({ queue, collected: true }));

const tellClosed = (message: CloseMessage): void => closes.publish(message);

/** Nothing is built unless somebody has subscribed by now. A type of the user's own that is a whole `Queue` by itself says nothing of its end. */
export function tellOpened(handle: Queue): void {
  const queue = handle.descriptor;
  const message: OpenMessage = { queue };
  if (opens.hasSubscribers) opens.publish(message);
  if (!closes.hasSubscribers) return;
  const { [onHandleEnd]: listen } = handle as Partial<EndingHandle>;
  if (listen === undefined) return;
  const token = {};
  const forget = listen.call(handle, (reason) => {
    if (!(reason instanceof QueueClosedError)) return;
    forget();
    collected.unregister(token);
    tellClosed({ queue, collected: false });
  });
  collected.register(handle, queue, token);
}
