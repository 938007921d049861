/** The one reading of `ConsumeOptions`. */
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';
import { readPositiveMilliseconds, readSignal } from '../wait/options';
import type { ConsumeOptions } from './types';
import type { Awaitable, Queue, QueueLike } from '../queue/types';

const FIRST_PAUSE_MS = 100;
/** With the jitter on top: 30 s. */
const LONGEST_PAUSE_MS = 24_000;
const JITTER = 0.25;
/** What `serve` takes too. */
const COMMON_OPTIONS: readonly (keyof ConsumeOptions<unknown>)[] = [
  ...(['concurrency', 'maxDeliveries', 'backoffMs', 'maxWaiting', 'timeoutMs', 'onError', 'signal'] as const),
];
const CONSUME_OPTIONS = [...COMMON_OPTIONS, 'batch', 'deadLetter', 'drop'];

/** 100 ms doubling up to 30 s; jitter only lengthens, so that a pause is never shorter than it says. */
export const defaultBackoffMs = (deliveries: number): number =>
  Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (deliveries - 1)) * (1 + JITTER * Math.random());

export interface WorkOptions<T> {
  concurrency: number;
  /** Undefined: the handler gets one item, and not an array. */
  batch: number | undefined;
  /** Infinity: no limit. */
  maxDeliveries: number;
  /** False: what failed is buried, and does not come again. */
  retries: boolean;
  /** Takes an item that will not be handled any more; its lease is acknowledged afterwards. Undefined: it is forgotten. @param deliveries attempts */
  bury:
    | ((item: T, error: unknown, at: { deliveries: number; crashes: number; signal: AbortSignal }) => Awaitable<void>)
    | undefined;
  backoffMs: (deliveries: number) => number;
  /** Undefined: by the maxsize of the queue. */
  maxWaiting: number | undefined;
  /** Infinity: no limit. */
  timeoutMs: number;
  onError: ConsumeOptions<T>['onError'];
  signal: AbortSignal | undefined;
  /** Called at the end, however it came. */
  ended?: (failure: { readonly error: unknown } | undefined) => void;
}

/** @throws TypeError where it is none */
export function requireQueue(queue: unknown, call: string): void {
  const { leaseMany, descriptor } = (queue ?? {}) as Partial<Queue>;
  if (typeof leaseMany !== 'function' || typeof descriptor !== 'object')
    throw new TypeError(`${call} takes a queue as resolveDescriptor gives it, found ${describeValue(queue)}.`);
}

/** @throws TypeError where it is none */
export function requireHandler(handler: unknown): void {
  if (typeof handler !== 'function')
    throw new TypeError(`The handler must be a function, found ${describeValue(handler)}.`);
}

/** Of `consume`. @throws RangeError, TypeError */
export function readWorkOptions<T>(options: ConsumeOptions<T> | null | undefined): WorkOptions<T> {
  return readOptions(named(options, CONSUME_OPTIONS));
}

/** Of `serve`: whoever asked hears of what failed, and asks again if it wants to. @throws RangeError, TypeError */
export function readServeOptions(options: ConsumeOptions<unknown> | null | undefined): WorkOptions<unknown> {
  return { ...readOptions({ ...named(options, COMMON_OPTIONS), drop: true }), retries: false };
}

function named<T>(options: ConsumeOptions<T> | null | undefined, known: readonly string[]): ConsumeOptions<T> {
  const given = options ?? {};
  if (typeof given !== 'object')
    throw new TypeError(`The options of a consumer are an object, found ${describeValue(given)}.`);
  refuseUnknown(given, known);
  return given;
}

function readOptions<T>(given: ConsumeOptions<T>): WorkOptions<T> {
  const { maxDeliveries, deadLetter, drop, backoffMs, onError } = given;
  if (maxDeliveries !== undefined && deadLetter === undefined && drop !== true)
    throw new TypeError(
      'maxDeliveries without a deadLetter would lose items: give a queue as deadLetter, or drop: true to lose them on purpose.',
    );
  if (deadLetter !== undefined && typeof (deadLetter as Partial<QueueLike> | null)?.put !== 'function')
    throw new TypeError(`deadLetter must be a queue, found ${describeValue(deadLetter)}.`);
  for (const [name, value] of Object.entries({ backoffMs, onError }))
    if (value !== undefined && typeof value !== 'function')
      throw new TypeError(`${name} must be a function, found ${describeValue(value)}.`);
  return {
    concurrency: count('concurrency', given.concurrency, 1) ?? 1,
    batch: count('batch', given.batch, 1),
    maxDeliveries: count('maxDeliveries', maxDeliveries, 1) ?? Infinity,
    retries: true,
    bury: undefined,
    backoffMs: backoffMs ?? defaultBackoffMs,
    maxWaiting: count('maxWaiting', given.maxWaiting, 0),
    timeoutMs: readPositiveMilliseconds('timeoutMs', given.timeoutMs) ?? Infinity,
    onError,
    signal: readSignal(given.signal),
  };
}

function count(name: string, value: unknown, least: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === Infinity && name !== 'batch' && name !== 'concurrency') return Infinity;
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new RangeError(`${name} must be a whole number from ${least}, found ${describeValue(value)}.`);
}
