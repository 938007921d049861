/** What could only arrive in Python in part: refused, as the codecs of the other types do. */
import { cutOff, Refusal, refuseProperties } from '../../../codec/refusals';
import { asBuffer } from '../../../util/buffer-view';
import { trueBytesOf } from '../../../util/built-ins';
import { PickleError } from './types';

export const notSent = (what: string): PickleError =>
  new PickleError(`The value is or holds ${what}: it cannot be sent to Python.`);

/** @throws PickleError where it has properties beside its contents, which are all that would arrive */
export function refuseOwn(value: object, elements: number): void {
  try {
    refuseProperties(value, elements);
  } catch (error) {
    throw error instanceof Refusal ? notSent(error.what) : error;
  }
}

/** @throws PickleError for a view that shows nothing any more */
export function bytesIn(view: ArrayBufferView): Buffer {
  const bytes = trueBytesOf(view);
  if (bytes === undefined) throw notSent(cutOff('a view'));
  return asBuffer(bytes);
}

/** @throws PickleError for a list of which something would not arrive, or arrive as None */
export function refuseLoss(items: readonly unknown[]): void {
  refuseOwn(items, items.length);
  for (let index = 0; index < items.length; index++)
    if (items[index] === undefined && !Object.hasOwn(items, index)) throw notSent('a hole');
}
