/** Reply queues in shared memory whose caller died while no server held them: nobody is left to let go of them. */
import type { QueueDescriptor } from '../descriptor/descriptor';
import { readReplyId } from '../descriptor/reply-descriptor';
import { ownerOf } from '../transports/shm/segment-name';
import { pruneSegments } from '../transports/shm/segments';
import type { SegmentInfo } from '../transports/shm/segments';

/** Removes those of the requests that go through this queue: of its type, owner and namespace, and with nobody alive attached. */
export function clearAbandonedReplies(requests: QueueDescriptor): void {
  const { queueId, queueType, metadata } = requests;
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
