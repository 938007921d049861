/** What the addon's calls return instead of a count, as errors. */
import {
  ItemTooLargeError,
  QueueEmptyError,
  QueueFullError,
  QueueProducerLostError,
  QueueShutDownError,
} from '../../errors';
import { EMPTY, FULL, PRODUCER_LOST, SHUT, TOO_LARGE } from './addon';

export const emptyError = (): QueueEmptyError => new QueueEmptyError();
export const fullError = (): QueueFullError =>
  new QueueFullError('The queue has no room for the item (items or bytes).');

export const takesNoMore = (): QueueShutDownError =>
  new QueueShutDownError('The queue was shut down and takes no more items.');

/** Throws what `status` stands for, unless that is "not yet". */
export function refusePut(status: number, bytes: number, capacityBytes: number): void {
  if (status === FULL || status === EMPTY) return;
  if (status === SHUT) throw takesNoMore();
  if (status === TOO_LARGE) {
    throw new ItemTooLargeError(
      `An item of ${bytes} bytes can never fit into the ${capacityBytes} bytes of this queue. Make it with a larger capacityBytes.`,
    );
  }
}

export function refuseGet(status: number): void {
  if (status === SHUT) throw new QueueShutDownError('The queue was shut down and nothing is left in it.');
  if (status === PRODUCER_LOST) throw new QueueProducerLostError();
}
