/** One look at every queue, and the rates since the one before. */
import { statsOfSegment } from '../../metrics/sources';
import type { QueueStats } from '../../queue/types';
import { listSegments } from '../../transports/shm/segments';
import type { SegmentInfo } from '../../transports/shm/segments';
import { segmentUri } from '../queue-uri';

interface Look {
  readonly atMs: number;
  readonly stats: QueueStats;
}

export interface QueueRow {
  readonly uri: string;
  readonly segment: SegmentInfo;
  readonly stats: QueueStats | undefined;
  /** Undefined: not known yet, or the queue is shut down. */
  readonly rates: { put: number; get: number; bytes: number } | undefined;
  /** 0 to 1: of the items or of the bytes, whichever is fuller. */
  readonly full: number | undefined;
}

export const SORTS = ['rate', 'depth', 'name'] as const;
export type Sort = (typeof SORTS)[number];

export class Sampler {
  private before = new Map<string, Look>();

  constructor(private readonly wanted: (segment: SegmentInfo) => boolean) {}

  async rows(): Promise<QueueRow[]> {
    const looks = new Map<string, Look>();
    const rows: QueueRow[] = [];
    for (const segment of listSegments().filter(this.wanted)) {
      const uri = segmentUri(segment);
      const stats = await statsOfSegment(segment);
      const look = stats && { atMs: performance.now(), stats };
      if (look !== undefined) looks.set(uri, look);
      rows.push({
        uri,
        segment,
        stats,
        rates: ratesBetween(this.before.get(uri), look),
        full: fullness(segment, stats),
      });
    }
    this.before = looks;
    return rows;
  }
}

function ratesBetween(before: Look | undefined, now: Look | undefined): QueueRow['rates'] {
  if (before === undefined || now === undefined) return undefined;
  const seconds = (now.atMs - before.atMs) / 1000;
  const rate = (key: 'putTotal' | 'getTotal' | 'putBytesTotal'): number =>
    Math.max(0, Math.round(((now.stats[key] ?? 0) - (before.stats[key] ?? 0)) / seconds));
  return { put: rate('putTotal'), get: rate('getTotal'), bytes: rate('putBytesTotal') };
}

/** Items on lease keep their places. */
function fullness({ qsize, maxsize }: SegmentInfo, stats: QueueStats | undefined): number | undefined {
  const items = maxsize === 0 ? undefined : ((stats?.qsize ?? qsize) + (stats?.leased ?? 0)) / maxsize;
  const bytes = stats?.capacityBytes === undefined ? undefined : (stats.usedBytes ?? 0) / stats.capacityBytes;
  return items === undefined && bytes === undefined ? undefined : Math.min(1, Math.max(items ?? 0, bytes ?? 0));
}

/** Busiest, or deepest, first; those that are alike by name. */
export function sorted(rows: readonly QueueRow[], sort: Sort): QueueRow[] {
  const weights: Record<Sort, (row: QueueRow) => number> = {
    rate: ({ rates }) => (rates === undefined ? 0 : rates.put + rates.get),
    depth: ({ segment, stats }) => stats?.qsize ?? segment.qsize,
    name: () => 0,
  };
  const weight = weights[sort];
  return [...rows].sort((a, b) => weight(b) - weight(a) || (a.uri < b.uri ? -1 : 1));
}
