/** Reply queues in shared memory that were left behind when the last one attached was killed: nobody is left to let go of them. */
import type { QueueDescriptor } from '../descriptor/descriptor';
import { readReplyId, replyBeginning } from '../descriptor/reply-descriptor';
import { segmentName } from '../transports/shm/segment-name';
import { pruneSegmentsNamed } from '../transports/shm/segments';

/** Those who come often look no more often than this. */
const BETWEEN_LOOKS_MS = 5000;
/** The looks of so long, oldest first, by what the names of the segments begin with: handles on one queue have one. */
const lastLooks = new Map<string, number>();

/** The same by whoever makes such a queue and may make many. */
export function clearAbandonedRepliesAtTimes(requests: QueueDescriptor): void {
  const beginning = segmentsOfReplies(requests);
  if (beginning === undefined) return;
  const now = performance.now();
  for (const [looked, at] of lastLooks) {
    if (now < at + BETWEEN_LOOKS_MS) break;
    lastLooks.delete(looked);
  }
  if (lastLooks.has(beginning)) return;
  lastLooks.set(beginning, now);
  clearAbandonedReplies(requests);
}

/**
 * Removes those of the requests that go through this queue: of its type, owner and namespace, and with nobody alive attached. No other
 * segment is opened.
 */
export function clearAbandonedReplies(requests: QueueDescriptor): void {
  const beginning = segmentsOfReplies(requests);
  if (beginning === undefined) return;
  try {
    // A reply queue may have replies of its own, whose names begin so too.
    pruneSegmentsNamed(beginning, ({ name }) => readReplyId(name)?.requests === nameOf(requests));
  } catch {
    // Whoever cannot look cannot clear up either; a server works all the same.
  }
}

const nameOf = ({ queueType, queueId, metadata }: QueueDescriptor): unknown =>
  queueType === 'shm' ? metadata.shm_name : queueId;

/** What the full names of the reply queues begin with; undefined: they are not in shared memory. */
function segmentsOfReplies(requests: QueueDescriptor): string | undefined {
  // An auto queue in shared memory is a sage_queue; where it is elsewhere, there is none of this name here.
  if (!['shm', 'sage_queue', 'auto'].includes(requests.queueType)) return undefined;
  try {
    return replyBeginning(segmentName(requests));
  } catch {
    // No segment can have this name; elsewhere a queue may.
    return undefined;
  }
}
