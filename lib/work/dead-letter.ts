import { describeThrown, describeValue } from '../util/describe-value';
import type { QueueDescriptor } from '../descriptor/descriptor';
import type { HeldItem } from './held-items';
import type { DeadLetter } from './types';

/** An error as data; whatever was thrown. */
export function errorAsData(error: unknown): DeadLetter['error'] {
  if (typeof error !== 'object' || error === null) return { name: 'Error', message: describeThrown(error) };
  const stack = textOf(error, 'stack');
  return {
    name: textOf(error, 'name') ?? 'Error',
    message: textOf(error, 'message') ?? describeValue(error),
    ...(stack === undefined ? {} : { stack }),
  };
}

function textOf(error: object, key: keyof Error): string | undefined {
  const found = propertyOf(error, key);
  return typeof found?.value === 'string' ? found.value : undefined;
}

/** Undefined: it has none, or throws when it is asked. */
export function propertyOf(error: object, key: keyof Error): { value: unknown } | undefined {
  try {
    return key in error ? { value: (error as Error)[key] } : undefined;
  } catch {
    return undefined;
  }
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
