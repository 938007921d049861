/** What there is to measure: the shared-memory queues of this host that this user may read, and this process's other handles. */
import { QueueDescriptor } from '../descriptor/descriptor';
import { readReplyId } from '../descriptor/reply-descriptor';
import type { Queue, QueueStats } from '../queue/types';
import { openHandles, resolveDescriptor } from '../resolve/registry';
import { listSegments } from '../transports/shm/segments';
import type { SegmentInfo } from '../transports/shm/segments';

/** How long a queue beyond this process may take to tell its counters. */
const ANSWER_WITHIN_MS = 2000;

/** The segment's descriptor, also in a namespace, where users share it, or where it is another user's. */
export function descriptorOfSegment({ queueType, name, queueId, namespace, tenantUid }: SegmentInfo): QueueDescriptor {
  if (queueType === 'shm') return new QueueDescriptor({ queueId, queueType, metadata: { shm_name: name } });
  return new QueueDescriptor({
    queueId: name,
    queueType,
    metadata: {
      ...(namespace === undefined ? {} : { namespace }),
      enable_multi_tenant: tenantUid !== null,
      ...(typeof tenantUid === 'number' ? { owner_uid: tenantUid } : {}),
    },
  });
}

/**
 * Attaches for a moment; this process does not count as attached. Undefined: the queue is shut down (one that is finished starts anew
 * with whoever comes next, which must not be this), or gone, or another user's.
 */
export async function statsOfSegment(segment: SegmentInfo): Promise<QueueStats | undefined> {
  // The last one to leave an empty queue takes it along: whoever only looks must not be that.
  if (segment.shutDown || (segment.qsize === 0 && !segment.attached.some(({ alive }) => alive))) return undefined;
  try {
    const queue = resolveDescriptor(descriptorOfSegment(segment), { create: 'never' });
    try {
      return await queue.stats();
    } finally {
      await queue.close();
    }
  } catch {
    return undefined;
  }
}

export interface Source {
  /** By which its series are told apart. */
  readonly labels: Readonly<Record<string, string>>;
  readonly segment: SegmentInfo | undefined;
  /** Undefined: they could not be had. */
  readonly stats: QueueStats | undefined;
}

/** The queues of callers come and go with them, and would be series without end. */
const isShown = ({ name }: SegmentInfo): boolean => readReplyId(name) === undefined;

async function segmentSources(): Promise<Source[]> {
  let segments: SegmentInfo[];
  try {
    segments = listSegments().filter(isShown);
  } catch {
    // No addon: there are none for this process.
    return [];
  }
  const sources: Source[] = [];
  for (const segment of segments) {
    const { namespace = '', tenantUid } = segment;
    const tenant = tenantUid === null ? 'all' : tenantUid === undefined ? '' : String(tenantUid);
    const labels = { queue: segment.name, type: segment.queueType, namespace, tenant };
    sources.push({ labels, segment, stats: await statsOfSegment(segment) });
  }
  return sources;
}

/** The first of these handles that answers in time. */
async function statsOfHandles(handles: readonly Queue[]): Promise<QueueStats | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS)));
  const answers = Promise.any(handles.map((queue) => queue.stats())).catch(() => undefined);
  const stats = await Promise.race([answers, late]);
  clearTimeout(timer);
  return stats;
}

/** One for each queue, however many handles are on it. */
async function handleSources(): Promise<Source[]> {
  const queues = new Map<string, Queue[]>();
  for (const queue of openHandles()) {
    const { queueId, queueType } = queue.descriptor;
    if (['shm', 'sage_queue', 'auto'].includes(queueType) || readReplyId(queueId) !== undefined) continue;
    const key = JSON.stringify([queueType, queueId]);
    queues.set(key, [...(queues.get(key) ?? []), queue]);
  }
  const sources = await Promise.all(
    [...queues.values()].map(async (handles) => {
      const { queueId, queueType } = handles[0]!.descriptor;
      const labels = { queue: queueId, type: queueType, namespace: '', tenant: '' };
      return { labels, segment: undefined, stats: await statsOfHandles(handles) };
    }),
  );
  // Closed, or beyond reach.
  return sources.filter(({ stats }) => stats !== undefined);
}

export const findSources = async (): Promise<Source[]> => [...(await segmentSources()), ...(await handleSources())];
