/** The `producer` option of a handle. */
import { InvalidDescriptorError } from '../errors';
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';
import type { ResolveOptions } from './types';

/** How a producer's handle ended: readers take only what those brought that were closed for whole. */
export type ProducerEnd = 'closed' | 'lost';

/** What a segment has room for. */
const MOST = 2 ** 32 - 1;

/** How many producers the queue has to see before it may end; undefined: the handle is no producer's. @throws InvalidDescriptorError, TypeError */
export function expectedProducers(producer: ResolveOptions['producer']): number | undefined {
  if (producer === undefined || producer === null || producer === false) return undefined;
  if (producer === true) return 1;
  if (typeof producer === 'object') refuseUnknown(producer, ['expect']);
  const expect: unknown = typeof producer === 'object' ? (producer.expect ?? 1) : undefined;
  if (Number.isSafeInteger(expect) && (expect as number) >= 1 && (expect as number) <= MOST) return expect as number;
  throw new InvalidDescriptorError(
    `producer must be true, false or { expect } with a whole number of producers from 1 to ${MOST}, found ${describeValue(typeof producer === 'object' ? producer.expect : producer)}.`,
  );
}
