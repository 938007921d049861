/**
 * Where the replies to a caller go: a queue beside the one that its requests go through. Both sides make its descriptor from that of the
 * request queue and a token, so that a request can name nothing else.
 */
import { InvalidDescriptorError } from '../errors';
import { QueueDescriptor } from './descriptor';
import type { Metadata } from './metadata';

const TOKEN = /^[0-9a-f]{32}$/;
const REPLIES = /^(.+)\.reply\.([0-9a-f]{32})$/;
/** What names one queue and fits no other of its kind. */
const OF_THE_REQUESTS = ['maxsize', 'capacity_bytes', 'auto_cleanup', 'schema'];

export const isReplyToken = (value: unknown): value is string => typeof value === 'string' && TOKEN.test(value);

/** What the names of all reply queues of these requests begin with. */
export const replyBeginning = (requests: string): string => `${requests}.reply.`;

/** The queue whose replies go through the one of this id, and the token; undefined: it is no reply queue. */
export function readReplyId(id: string): { requests: string; token: string } | undefined {
  const found = REPLIES.exec(id);
  return found === null ? undefined : { requests: found[1]!, token: found[2]! };
}

/**
 * Of the request queue's own type, host, owner and namespace. @param size what the caller makes it with; nothing: to attach.
 * @throws InvalidDescriptorError for types whose queues others make
 */
export function replyDescriptor(
  requests: QueueDescriptor,
  token: string,
  size: { maxsize?: number; capacity_bytes?: number } = {},
): QueueDescriptor {
  if (!isReplyToken(token)) throw new InvalidDescriptorError('The token of a reply queue has 32 hexadecimal digits.');
  const { queueType } = requests;
  if (queueType === 'ray_actor')
    throw new InvalidDescriptorError(
      "Requests through a ray_actor have no way back: its actor is somebody else's, and named by them. Use a ray_queue.",
    );
  const beside = (name: string): string => `${replyBeginning(name)}${token}`;
  const kept = Object.entries(requests.metadata).filter(([key]) => !OF_THE_REQUESTS.includes(key));
  const metadata: Metadata = {
    ...Object.fromEntries(kept),
    ...(typeof requests.metadata.shm_name === 'string' ? { shm_name: beside(requests.metadata.shm_name) } : {}),
    ...size,
  };
  return new QueueDescriptor({ queueId: beside(requests.queueId), queueType, metadata });
}
