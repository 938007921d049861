/** How a queue is named on the command line: a URI, or a descriptor as JSON text or in a file. */
import { readFileSync } from 'node:fs';
import { QueueDescriptor } from '../descriptor/descriptor';
import { QueueError } from '../errors';
import type { SegmentInfo } from '../transports/shm/segments';
import { UsageError } from './command';
import { sentence } from './io/table';

/** What a queue is made with where the URI cannot say it. */
export interface QueueConfiguration {
  maxsize?: number;
  capacityBytes?: number;
}

/** @throws UsageError that says what was expected; InvalidDescriptorError for a descriptor that is none. */
export function parseQueue(text: string, configuration: QueueConfiguration = {}): QueueDescriptor {
  if (text.startsWith('@')) return described(readDescriptor(text.slice(1)), configuration);
  if (text.trimStart().startsWith('{')) return described(QueueDescriptor.fromJSON(text), configuration);
  const descriptor = namedBy(text);
  const { queueType } = descriptor;
  if (configuration.capacityBytes !== undefined && queueType !== 'shm' && queueType !== 'sage_queue')
    throw new UsageError('--capacity-bytes is for shm: and sage: queues.');
  return described(descriptor, configuration);
}

function namedBy(uri: string): QueueDescriptor {
  try {
    return QueueDescriptor.fromURI(uri);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(message.replace(/ or (ray-actor:\S+)\.$/, ', $1, a JSON text or @file.json.'));
  }
}

function readDescriptor(file: string): QueueDescriptor {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`The descriptor file cannot be read: ${(error as Error).message}.`);
  }
  return QueueDescriptor.fromJSON(text);
}

/** What the options say goes before what the descriptor says. @throws UsageError for a queue that no other process could reach. */
function described(descriptor: QueueDescriptor, { maxsize, capacityBytes }: QueueConfiguration): QueueDescriptor {
  if (descriptor.queueType === 'local') {
    throw new UsageError(
      `The queue '${descriptor.queueId}' is of type local: it lives in the memory of one process, and what this command put would be gone with it. Use shm: or sage:.`,
    );
  }
  if (maxsize === undefined && capacityBytes === undefined) return descriptor;
  return new QueueDescriptor({
    queueId: descriptor.queueId,
    queueType: descriptor.queueType,
    createdTimestamp: descriptor.createdTimestamp,
    metadata: {
      ...descriptor.metadata,
      ...(maxsize === undefined ? {} : { maxsize }),
      ...(capacityBytes === undefined ? {} : { capacity_bytes: capacityBytes }),
    },
  });
}

/** What leads to a segment: its URI, or a descriptor where it lies in a namespace, is shared by all users, or is another user's. */
export function segmentUri({ queueType, name, namespace, tenantUid }: NamedSegment): string {
  if (queueType === 'shm') return `shm:${name}`;
  if (namespace === undefined && tenantUid === undefined) return `sage:${name}`;
  return JSON.stringify({
    queue_id: name,
    queue_type: queueType,
    metadata: {
      namespace,
      enable_multi_tenant: tenantUid === null ? false : undefined,
      owner_uid: tenantUid ?? undefined,
    },
  });
}

type NamedSegment = Pick<SegmentInfo, 'queueType' | 'name' | 'namespace' | 'tenantUid'>;

/** An error of a queue, with the queue's name as the user typed it in front, and how far the command came behind. */
export function naming(queue: string, error: unknown, told?: string): unknown {
  if (!(error instanceof QueueError)) return error;
  const shown = queue.length > 60 ? `${queue.slice(0, 60)}…` : queue;
  const named = error.message.includes(queue) ? error.message : `${shown}: ${error.message}`;
  const message = told === undefined ? named : `${sentence(named)} ${told}`;
  if (message === error.message) return error;
  return new QueueError(error.code, message, { cause: error, accepted: error.accepted });
}

/** As one word for a shell. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
