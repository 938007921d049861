/** From a descriptor to an attached handle: what it asks for, the defaults, and whether an existing queue is as it asks. */
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { ConfigMismatchError, SegmentError } from '../../errors';
import type { NativeConfiguration } from './addon';
import { Attachment } from './attachment';
import type { ItemCodec } from '../../codec/registry';
import type { ResolveOptions } from '../../queue/types';
import { attachSchema, schemaBytes } from './segment-schema';
import { ownerOf, segmentName } from './segment-name';

type Configuration = NativeConfiguration;

const DEFAULT_MAXSIZE = 1000;
const DEFAULT_MODE = 0o600;
const MEBIBYTE = 1024 * 1024;

/** 1 MiB, or 1 KiB for each of maxsize items where that is more, at most 16 MiB. */
function defaultCapacityBytes(maxsize: number): number {
  let capacity = MEBIBYTE;
  while (capacity < Math.min(maxsize * 1024, 16 * MEBIBYTE)) capacity *= 2;
  return capacity;
}

/** What an existing queue has otherwise than the descriptor asks for. A default asks for nothing. */
function differencesOf({ metadata }: QueueDescriptor, existing: Configuration): string[] {
  const { maxsize, capacity_bytes: capacityBytes, auto_cleanup: autoCleanup, mode } = metadata;
  const octal = (bits: number): string => `0o${bits.toString(8)}`;
  const differences: string[] = [];
  if (typeof maxsize === 'number' && maxsize !== DEFAULT_MAXSIZE && maxsize !== existing.maxsize)
    differences.push(`maxsize ${existing.maxsize}, asked for is ${maxsize}`);
  if (typeof capacityBytes === 'number' && capacityBytes !== existing.capacityBytes)
    differences.push(`capacityBytes ${existing.capacityBytes}, asked for is ${capacityBytes}`);
  if (autoCleanup === false && existing.autoCleanup) differences.push('autoCleanup true, asked for is false');
  if (typeof mode === 'number' && mode !== DEFAULT_MODE && mode !== existing.mode)
    differences.push(`mode ${octal(existing.mode)}, asked for is ${octal(mode)}`);
  return differences;
}

/**
 * Users whose segments this process takes for as good as its own, from SAGE_QUEUE_TRUST_UID ("1000,65534"): its own word, since
 * whoever makes a segment writes into it what he likes.
 */
function trustedUids(): number[] {
  const text = process.env.SAGE_QUEUE_TRUST_UID;
  if (text === undefined || text.trim() === '') return [];
  return text.split(',').map((part) => {
    if (/^\s*\d{1,10}\s*$/.test(part)) return Number(part);
    throw new SegmentError(
      'ERR_SEGMENT_PERMISSION',
      `SAGE_QUEUE_TRUST_UID is a list of user ids such as 1000,65534; found ${JSON.stringify(text)}.`,
    );
  });
}

/** @throws ConfigMismatchError, QueueNotFoundError, QueueExistsError, SegmentError */
export function openQueue(
  descriptor: QueueDescriptor,
  create: NonNullable<ResolveOptions['create']>,
): { attachment: Attachment; codec: ItemCodec } {
  const { metadata, queueId, queueType } = descriptor;
  const maxsize = typeof metadata.maxsize === 'number' ? metadata.maxsize : DEFAULT_MAXSIZE;
  const asked = metadata.capacity_bytes;
  const attachment = new Attachment({
    kind: queueType === 'shm' ? ('shm' as const) : ('sage' as const),
    name: segmentName(descriptor),
    queueId,
    maxsize,
    capacityBytes: typeof asked === 'number' ? asked : defaultCapacityBytes(maxsize),
    mode: typeof metadata.mode === 'number' ? metadata.mode : DEFAULT_MODE,
    autoCleanup: metadata.auto_cleanup !== false,
    ownerUid: ownerOf(descriptor) ?? -1,
    trustedUids: trustedUids(),
    create,
    schema: schemaBytes(descriptor),
  });
  const { entry } = attachment;
  try {
    const differences = differencesOf(descriptor, entry.configuration);
    if (differences.length === 0) return { attachment, codec: attachSchema(entry.native, descriptor) };
    throw new ConfigMismatchError(
      `The queue '${queueId}' exists with another configuration than the descriptor asks for: ${differences.join('; ')}. ` +
        'Ask for the same, or leave it out to take the queue as it is.',
    );
  } catch (error) {
    attachment.close();
    throw error;
  }
}
