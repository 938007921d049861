/** Reply queues in shared memory that were left behind when the last one attached was killed: nobody is left to let go of them. */
import type { QueueDescriptor } from '../descriptor/descriptor';
import { readReplyId } from '../descriptor/reply-descriptor';
import { ownerOf } from '../transports/shm/segment-name';
import { pruneSegments } from '../transports/shm/segments';
import type { SegmentInfo } from '../transports/shm/segments';

/** Those who come often look no more often than this. */
const BETWEEN_LOOKS_MS = 5000;
const lastLooks = new WeakMap<QueueDescriptor, number>();

/** The same by whoever makes such a queue and may make many. */
export function clearAbandonedRepliesAtTimes(requests: QueueDescriptor): void {
  const now = performance.now();
  if (now < (lastLooks.get(requests) ?? -Infinity) + BETWEEN_LOOKS_MS) return;
  lastLooks.set(requests, now);
  clearAbandonedReplies(requests);
}

/** Removes those of the requests that go through this queue: of its type, owner and namespace, and with nobody alive attached. */
export function clearAbandonedReplies(requests: QueueDescriptor): void {
  const { queueId, metadata } = requests;
  // An auto queue in shared memory is a sage_queue; where it is elsewhere, there is none of this name here.
  const queueType = requests.queueType === 'auto' ? 'sage_queue' : requests.queueType;
  if (queueType !== 'shm' && queueType !== 'sage_queue') return;
  const name = queueType === 'shm' ? metadata.shm_name : queueId;
  const namespace = typeof metadata.namespace === 'string' ? metadata.namespace : undefined;
  const tenantUid = queueType === 'sage_queue' && ownerOf(requests) === null ? null : undefined;
  const isOurs = (segment: SegmentInfo): boolean =>
    segment.queueType === queueType &&
    segment.namespace === namespace &&
    segment.tenantUid === tenantUid &&
    readReplyId(segment.name)?.requests === name;
  try {
    pruneSegments({ includeNonEmpty: true, match: isOurs });
  } catch {
    // Whoever cannot look cannot clear up either; a server works all the same.
  }
}
