/** Puts that end without a word of the queue on what became of them. */
import { QueueError } from '../errors';
import type { QueueErrorOptions } from '../errors';

/** Of the same class and code: the item may be in, now or later. @param why what is not known */
export function withOutcomeUnknown(error: QueueError, why: string): QueueError {
  if (error.outcome === 'unknown') return error;
  const message = `${error.message} ${why}`;
  const options: QueueErrorOptions = { cause: error.cause, outcome: 'unknown' };
  if (error.constructor === QueueError) return new QueueError(error.code, message, options);
  return new (error.constructor as new (message: string, options: QueueErrorOptions) => QueueError)(message, options);
}
