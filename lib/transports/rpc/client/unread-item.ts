import { isUnknownSchema } from '../../../codec/struct/codec';
import { SerializationError } from '../../../errors';

/** What a program hears of an item that it cannot read and that others can; any other error is as it is. */
export function leftInQueue(error: unknown): unknown {
  if (!isUnknownSchema(error)) return error;
  const { message } = error.cause as Error;
  return new SerializationError(`The item cannot be decoded: ${message}. It is still in the queue.`, { cause: error });
}
