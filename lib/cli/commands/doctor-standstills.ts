/** Queues that do not get on: found by looking at each twice. */
import { setTimeout as delay } from 'node:timers/promises';
import { statsOfSegment } from '../../metrics/sources';
import type { QueueStats } from '../../queue/types';
import { listSegments } from '../../transports/shm/segments';
import { count } from '../io/table';
import { segmentUri } from '../queue-uri';
import type { Finding } from './doctor-checks';

const BETWEEN_LOOKS_MS = 500;

async function look(): Promise<Map<string, QueueStats>> {
  const found = new Map<string, QueueStats>();
  for (const segment of listSegments()) {
    const stats = await statsOfSegment(segment);
    if (stats !== undefined) found.set(segmentUri(segment), stats);
  }
  return found;
}

const waits = ({ waitingPutters = 0, leased = 0 }: QueueStats): boolean => waitingPutters > 0 || leased > 0;

export async function standstills(): Promise<Finding[]> {
  let before: Map<string, QueueStats>;
  try {
    before = await look();
  } catch {
    // Without the addon nothing can be said; its own finding says what to do.
    return [];
  }
  if (![...before.values()].some(waits)) return [];
  await delay(BETWEEN_LOOKS_MS);
  const now = await look();
  return [...now].flatMap(([uri, stats]) => {
    const earlier = before.get(uri);
    return earlier === undefined || earlier.getTotal !== stats.getTotal ? [] : standstill(uri, earlier, stats);
  });
}

/** Nothing was taken for good between the two looks. */
function standstill(uri: string, before: QueueStats, now: QueueStats): Finding[] {
  const check = 'standstill';
  const ms = `for ${BETWEEN_LOOKS_MS} ms`;
  const [leasedBefore, leased] = [before.leased ?? 0, now.leased ?? 0];
  if ((before.waitingPutters ?? 0) > 0 && (now.waitingPutters ?? 0) > 0)
    return [
      {
        check,
        status: 'advice',
        found:
          leased > 0
            ? `${uri}: a put waits for room, and nothing was taken ${ms}; ${count(leased)} items are on lease`
            : `${uri}: a put waits for room, and nobody reads`,
        type: `sage-queue stat ${uri}`,
      },
    ];
  if (leasedBefore > 0 && leased > 0)
    return [
      {
        check,
        status: 'ok',
        found: `${uri}: ${count(leased)} items are on lease, and none was acknowledged ${ms}: long work, or a handler that hangs`,
      },
    ];
  return [];
}
