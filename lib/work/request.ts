/** What goes through the request queue, and what comes back. */
import { ItemTooLargeError, QueueError, RemoteError, SerializationError } from '../errors';
import { isReplyToken } from '../descriptor/reply-descriptor';
import { describeValue } from '../util/describe-value';
import { errorAsData, propertyOf } from './dead-letter';

const MARK = 'sage-queue:request';
const VERSION = 1;

export interface Request {
  /** The caller's own number of it. */
  id: number;
  /** Of the caller's reply queue. */
  token: string;
  /** The caller's process, as its reply queue knows it; 0: that queue knows no processes, or another one holds it for the caller. */
  pid: number;
  /** When the caller no longer waits, in milliseconds since the epoch; undefined: it waits for ever. */
  expiresAtMs: number | undefined;
  body: unknown;
}

/** The remaining time and when it was so: of two hosts whose clocks differ, the request lives a little longer or shorter. */
export const writeRequest = (id: number, token: string, pid: number, remainingMs: number, body: unknown): unknown[] => [
  MARK,
  VERSION,
  id,
  token,
  pid,
  Date.now(),
  remainingMs === Infinity ? null : remainingMs,
  body,
];

/** Undefined: this is none. */
export function readRequest(item: unknown): Request | undefined {
  if (!Array.isArray(item) || item[0] !== MARK || item[1] !== VERSION) return undefined;
  const [, , id, token, pid, sentAtMs, remainingMs, body] = item as unknown[];
  if (!Number.isSafeInteger(id) || !isReplyToken(token) || !Number.isSafeInteger(pid)) return undefined;
  if (typeof sentAtMs !== 'number' || !(remainingMs === null || typeof remainingMs === 'number')) return undefined;
  const expiresAtMs = remainingMs === null ? undefined : sentAtMs + (remainingMs as number);
  return { id: id as number, token, pid: pid as number, expiresAtMs, body };
}

const VALUE = 0;
const THROWN = 1;
const REFUSED = 2;

interface ThrownData {
  name: string;
  message: string;
  stack?: string;
  /** In one element, so that none and undefined differ. */
  cause?: [kind: 'error', data: ThrownData] | [kind: 'value', value: unknown];
}

/** Causes of causes … that are sent along. */
const DEEPEST_CAUSE = 8;

function thrownAsData(error: unknown, depth = 0): ThrownData {
  const data: ThrownData = errorAsData(error);
  const cause = depth === DEEPEST_CAUSE ? undefined : causeIn(error);
  if (cause !== undefined)
    data.cause = isError(cause.value) ? ['error', thrownAsData(cause.value, depth + 1)] : ['value', cause.value];
  return data;
}

const causeIn = (error: unknown): { value: unknown } | undefined =>
  typeof error === 'object' && error !== null ? propertyOf(error, 'cause') : undefined;

/** A proxy may throw when it is asked what it is. */
function isError(value: unknown): boolean {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

function causeOf({ cause }: ThrownData): { cause?: unknown } {
  if (cause === undefined) return {};
  if (cause[0] === 'value') return { cause: cause[1] };
  const { name, message, stack } = cause[1];
  const error = new Error(message, causeOf(cause[1]));
  Object.defineProperty(error, 'name', { value: name, configurable: true });
  if (stack !== undefined) error.stack = stack;
  return { cause: error };
}

export const valueReply = (id: number, value: unknown): unknown[] => [id, VALUE, value];
export const thrownReply = (id: number, error: unknown): unknown[] => [id, THROWN, thrownAsData(error)];
/** Where a cause cannot be sent: what it was in words. */
export const plainThrownReply = (id: number, error: unknown): unknown[] => [
  id,
  THROWN,
  { ...errorAsData(error), cause: ['value', describeValue(causeIn(error)?.value)] },
];
/** The reply could not be put. */
export const refusedReply = (id: number, error: QueueError): unknown[] => [
  id,
  REFUSED,
  { code: error.code, message: error.message },
];

export type Reply = { id: number } & ({ value: unknown } | { error: QueueError });

/** Undefined: this is none. */
export function readReply(item: unknown): Reply | undefined {
  if (!Array.isArray(item) || item.length !== 3 || !Number.isSafeInteger(item[0])) return undefined;
  const [id, kind, content] = item as [number, unknown, unknown];
  if (kind === VALUE) return { id, value: content };
  if (typeof content !== 'object' || content === null) return undefined;
  if (kind === THROWN) {
    const data = content as ThrownData;
    const { name, message, stack: remoteStack } = data;
    return { id, error: new RemoteError(message, { name, remoteStack, ...causeOf(data) }) };
  }
  if (kind !== REFUSED) return undefined;
  const { code, message } = content as { code: unknown; message: string };
  return {
    id,
    error: code === 'ERR_ITEM_TOO_LARGE' ? new ItemTooLargeError(message) : new SerializationError(message),
  };
}
