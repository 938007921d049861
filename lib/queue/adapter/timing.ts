/** What the wrapper of a custom queue goes by: how long it waits for that queue, and what its errors say. */
import { isBytes } from '../../util/built-ins';

/** How long the inner queue waits for one request of a call that has to ask several times. */
export const SLICE_MS = 20;
/** So much later than the inner queue, which has its own timeout as a rule, is a wait ended from here. */
export const INNER_GRACE_MS = 20;
/** As long may the inner queue take to answer a call that does not wait. */
export const ANSWER_MS = 200;

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null | undefined)?.code;

/** By code: the inner queue may come from another copy of the package. */
export const isFull = (error: unknown): boolean => codeOf(error) === 'ERR_QUEUE_FULL';
export const isEmpty = (error: unknown): boolean => codeOf(error) === 'ERR_QUEUE_EMPTY';

/** The item could not be decoded and is gone from the queue: this error is all that is left of it. */
export const isDecodeError = (error: unknown): boolean =>
  isBytes((error as { bytes?: unknown } | null | undefined)?.bytes);
