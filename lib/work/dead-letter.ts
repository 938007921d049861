import { describeValue } from '../util/describe-value';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { HeldItem } from './held-items';
import type { DeadLetter } from './types';

/** An error as data; whatever was thrown. */
export function errorAsData(error: unknown): DeadLetter['error'] {
  if (typeof error !== 'object' || error === null) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error as Partial<Error>;
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : describeValue(error),
    ...(typeof stack === 'string' ? { stack } : {}),
  };
}

/** Why an item is dead that no handler of this process has seen fail. */
export const deadOnArrival = ({ deliveries, crashes }: HeldItem<unknown>): DeadLetter['error'] => ({
  name: 'Error',
  message:
    crashes > 0
      ? `${crashes} of the processes that held this item died; it was delivered ${deliveries - 1} times.`
      : `This item was delivered ${deliveries - 1} times and came back each time.`,
});

export const deadLetterOf = <T>(
  item: T,
  error: unknown,
  { deliveries, crashes }: { deliveries: number; crashes: number },
  queue: QueueDescriptor,
): DeadLetter<T> => ({
  item,
  error: errorAsData(error),
  deliveries,
  crashes,
  queue: queue.toJSON(),
  failedAtMs: Date.now(),
});
