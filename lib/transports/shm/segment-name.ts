/** How descriptors name segments. Parts are joined by '+', which no part may hold, so that no two queues meet by accident. */
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { SegmentError } from '../../errors';

const MAX_LENGTH = 255;
const ILLEGAL = /[^A-Za-z0-9._-]|\.\./;

/** @throws SegmentError ERR_SEGMENT_NAME */
function checked(what: string, name: string): string {
  if (name.length > 0 && name.length <= MAX_LENGTH && !ILLEGAL.test(name)) return name;
  throw new SegmentError(
    'ERR_SEGMENT_NAME',
    `${what} must be 1 to 255 of the characters A-Z a-z 0-9 . _ - without '..', found ${JSON.stringify(name)}.`,
  );
}

export const shmSegmentName = (shmName: string): string => `shm+${checked('shm_name', shmName)}`;

export function sageSegmentName(queueId: string, namespace: string | null, ownerUid: number | null): string {
  const space = namespace === null ? '' : checked('namespace', namespace);
  return `sage+${ownerUid === null ? '' : `u${ownerUid}`}+${space}+${checked('queue_id', queueId)}`;
}

/** The user whose queue it is, null when the name is shared by all users. */
export function ownerOf(descriptor: QueueDescriptor): number | null {
  const { enable_multi_tenant: multiTenant, owner_uid: owner } = descriptor.metadata;
  if (descriptor.queueType === 'shm' || multiTenant === false) return null;
  return typeof owner === 'number' ? owner : (process.getuid?.() ?? null);
}

/** @throws SegmentError ERR_SEGMENT_NAME */
export function segmentName(descriptor: QueueDescriptor): string {
  const { metadata, queueId } = descriptor;
  if (descriptor.queueType === 'shm') return shmSegmentName(String(metadata.shm_name ?? ''));
  const namespace = typeof metadata.namespace === 'string' ? metadata.namespace : null;
  return sageSegmentName(queueId, namespace, ownerOf(descriptor));
}
