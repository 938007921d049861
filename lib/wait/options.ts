/** How long a call may wait, and who may call it off: what programs write, and the one reading of it. */
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';

/** How long a call may wait. */
export interface WaitOptions {
  /** false: fail at once instead of waiting. Default true. */
  block?: boolean;
  /** Longest wait; 0 is the same as block: false. Default: for ever. Negative or NaN: RangeError. */
  timeoutMs?: number;
  /** Rejects with the signal's reason; an item is never lost to an abort. */
  signal?: AbortSignal;
}

/** Of a call that blocks the thread. */
export type SyncWaitOptions = Omit<WaitOptions, 'signal'>;

export interface Wait {
  /** 0: do not wait. Infinity: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export const FOR_EVER: Wait = { timeoutMs: Infinity, signal: undefined };
export const AT_ONCE: Wait = { timeoutMs: 0, signal: undefined };

const WAIT_OPTIONS: readonly string[] = ['block', 'timeoutMs', 'signal'];
/** Of calls that block the thread, which no signal can call off. */
export const SYNC_WAIT_OPTIONS: readonly string[] = ['block', 'timeoutMs'];
/** Of `join`, which is a wait for nothing but the end. */
export const JOIN_OPTIONS: readonly string[] = ['timeoutMs', 'signal'];
const SHUTDOWN_OPTIONS: readonly string[] = ['immediate'];

/**
 * Most calls have no options. So short, V8 puts it into each of them, wherever that is itself put in.
 * @throws RangeError for a negative or NaN timeout, TypeError for other types and for options that are not `known`; the signal's reason
 *   when it has fired already.
 */
export function readWait(options: WaitOptions | undefined, known?: readonly string[]): Wait {
  return options === undefined ? FOR_EVER : readKnown(options, known);
}

function readKnown(options: WaitOptions, known = WAIT_OPTIONS): Wait {
  if (typeof options === 'object' && options !== null) refuseUnknown(options, known);
  return readAnyWait(options);
}

/** Whether a shutdown is immediate. @throws TypeError */
export function readShutdown(options: { immediate?: boolean } | undefined): boolean {
  if (typeof options === 'object' && options !== null) refuseUnknown(options, SHUTDOWN_OPTIONS);
  return options?.immediate === true;
}

/** For types of the user's own, whose calls may have other options too. @throws as readWait, but of other options takes no notice */
export function readAnyWait(options: WaitOptions | undefined): Wait {
  if (options === undefined || options === null) return FOR_EVER;
  if (typeof options !== 'object') {
    throw new TypeError(`The options of a call are { block, timeoutMs, signal }, found ${describeValue(options)}.`);
  }
  const { block } = options;
  const timeoutMs = readTimeout(options.timeoutMs) ?? Infinity;
  const signal = readSignal(options.signal);
  if (signal?.aborted) throw signal.reason;
  return { timeoutMs: block === false ? 0 : timeoutMs, signal };
}

/** How long something may take. Undefined: it was not said. @throws TypeError, RangeError for less than 0 and NaN */
export function readMilliseconds(name: string, value: unknown, hint = ''): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number')
    throw new TypeError(`${name} must be a number of milliseconds, found ${describeValue(value)}.`);
  if (value >= 0) return value;
  throw new RangeError(`${name} must be 0 or more milliseconds, found ${value}.${hint}`);
}

/** As readMilliseconds, of what cannot be done in no time. @throws RangeError for 0 too */
export function readPositiveMilliseconds(name: string, value: unknown): number | undefined {
  const ms = readMilliseconds(name, value);
  if (ms !== 0) return ms;
  throw new RangeError(`${name} must be more than 0 milliseconds, found 0.`);
}

/** Of a call. @throws TypeError, RangeError */
export const readTimeout = (timeoutMs: unknown): number | undefined =>
  readMilliseconds('timeoutMs', timeoutMs, ' Leave it out to wait for ever.');

/** @throws TypeError */
export function readSignal(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener === 'function') return signal;
  throw new TypeError(`signal must be an AbortSignal, found ${describeValue(signal)}.`);
}

/** How many items a call may take. @throws RangeError */
export function readMax(max: number, call = 'getMany'): number {
  if (Number.isSafeInteger(max) && max >= 0) return max;
  if (max === Infinity) return Number.MAX_SAFE_INTEGER;
  throw new RangeError(
    max === undefined
      ? `The first argument, the most items to take, is missing: ${call}(max, options?) takes a non-negative integer.`
      : `max must be a non-negative integer, found ${describeValue(max)}.`,
  );
}
