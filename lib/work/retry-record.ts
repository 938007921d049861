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

/** A century. A longer one, or an endless one, would be no time that a reader takes. */
export const LONGEST_PAUSE_MS = 100 * 365 * 24 * 3_600_000;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** Leases of somebody's own may say anything. */
const countOf = (value: number): number => (isCount(value) ? value : 0);

/** Of an item that waits for so long from now, at most `LONGEST_PAUSE_MS`. */
export function recordIn(
  pauseMs: number,
  { deliveries, crashes }: Pick<RetryRecord, 'deliveries' | 'crashes'>,
): RetryRecord {
  const putAtMs = Date.now();
  return { deliveries: countOf(deliveries), crashes: countOf(crashes), dueAtMs: putAtMs + pauseMs, putAtMs };
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
  const isRecord = isCount(deliveries) && isCount(crashes) && Number.isFinite(dueAtMs);
  return isRecord ? { item, record: record as RetryRecord } : undefined;
}
