import { InvalidDescriptorError } from '../errors';
import { describeValue } from '../util/describe-value';

/** Options as they were given; null counts as left out. @throws what `refuse` makes of the message where they are no object. */
export function givenOptions<T extends object>(
  options: T | null | undefined,
  refuse: (message: string) => Error = (message) => new InvalidDescriptorError(message),
): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options === 'object') return options;
  throw refuse(`The options must be an object, found ${describeValue(options)}.`);
}
