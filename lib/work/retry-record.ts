/**
 * An item that goes to the back of its queue takes what is known about it along: the queue itself counts afresh what is put. Consumers
 * take the record off again; any other reader sees it around the item.
 */
const KEY = 'sage-queue:retry';

export interface RetryRecord {
  /** How often it was delivered before it was put again. */
  deliveries: number;
  crashes: number;
  /** Milliseconds since the epoch: before this it should not run. */
  dueAtMs: number;
  /** When that was so, by the same clock, which may be set back meanwhile. Older builds do not say. */
  putAtMs?: number;
}

/** Of an item that waits for so long from now. */
export function recordIn(
  pauseMs: number,
  { deliveries, crashes }: Pick<RetryRecord, 'deliveries' | 'crashes'>,
): RetryRecord {
  const putAtMs = Date.now();
  return { deliveries, crashes, dueAtMs: putAtMs + pauseMs, putAtMs };
}

/** When it is due by the clock as it goes now: a pause is never longer than it was. */
export function dueAtMsOf({ dueAtMs, putAtMs = -Infinity }: RetryRecord): number {
  const now = Date.now();
  return now < putAtMs ? now + (dueAtMs - putAtMs) : dueAtMs;
}

export const recordOf = (item: unknown, record: RetryRecord): unknown => ({ [KEY]: record, item });

/** The record around an item and the item in it; undefined: there is none. */
export function readRecord(value: unknown): { item: unknown; record: RetryRecord } | undefined {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || !Object.hasOwn(value, KEY))
    return undefined;
  const { [KEY]: record, item } = value as { [KEY]: unknown; item: unknown };
  if (typeof record !== 'object' || record === null) return undefined;
  const { deliveries, crashes, dueAtMs } = record as Partial<RetryRecord>;
  const whole = [deliveries, crashes].every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
  return whole && Number.isFinite(dueAtMs) ? { item, record: record as RetryRecord } : undefined;
}
