import { InvalidDescriptorError } from '../errors';
import { refuseUnknown } from '../util/known-options';
import { describeValue } from '../util/describe-value';

/**
 * Options as they were given; null counts as left out.
 * @param known their names; other ones are a TypeError (ERR_OPTION_UNKNOWN)
 * @throws what `refuse` makes of the message where they are no object
 */
export function givenOptions<T extends object>(
  options: T | null | undefined,
  known: readonly (keyof T & string)[],
  refuse: (message: string) => Error = (message) => new InvalidDescriptorError(message),
): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options === 'object') {
    refuseUnknown(options, known);
    return options;
  }
  throw refuse(`The options must be an object, found ${describeValue(options)}.`);
}
