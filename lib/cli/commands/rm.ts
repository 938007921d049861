import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueNotFoundError, SegmentError } from '../../errors';
import type { NativeQueue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { removeDamaged } from './damaged-segment';
import { isGlob, segmentFilter } from '../globs';
import { listSegments } from '../../transports/shm/segments';
import { naming, parseQueue, segmentUri } from '../queue-uri';

export const rm: Command = {
  summary: 'Removes shared-memory queues, with what is in them',
  usage: 'rm QUEUE|GLOB …',
  help: `The name goes at once. Processes that are attached keep working with each other until they close; whoever comes by the name
later starts a new queue. A file of your own under that name which is damaged, and which no process has mapped, goes too.
A GLOB stands for all queues that this user can see and whose name or URI matches it; quote it. What was removed is named on stdout.`,
  examples: ['sage-queue rm shm:numbers', "sage-queue rm 'sage:test.*'"],
  options: {},
  operands: [1, Infinity],
  run,
};

const UNREADABLE: readonly string[] = ['ERR_SEGMENT_CORRUPT', 'ERR_SEGMENT_VERSION'];

async function run(args: Arguments): Promise<number> {
  for (const operand of args.operands) {
    // A descriptor as JSON text has brackets of its own.
    if (!isGlob(operand) || operand.trimStart().startsWith('{')) {
      removeNamed(operand);
      continue;
    }
    const uris = listSegments()
      .filter(segmentFilter([operand]))
      .map(segmentUri)
      .sort();
    if (uris.length === 0) throw new QueueNotFoundError(`No queue matches ${operand}.`);
    for (const uri of uris) {
      removeNamed(uri);
      process.stdout.write(`removed ${uri}\n`);
    }
  }
  return EXIT_OK;
}

function removeNamed(name: string): void {
  const descriptor = parseQueue(name);
  if (descriptor.queueType !== 'shm' && descriptor.queueType !== 'sage_queue') {
    throw new UsageError(`rm removes shm: and sage: queues; '${name}' is of type ${descriptor.queueType}.`);
  }
  try {
    removeQueue(descriptor);
  } catch (error) {
    throw naming(name, error);
  }
}

function removeQueue(descriptor: QueueDescriptor): void {
  try {
    const queue = resolveDescriptor(descriptor, { create: 'never' }) as unknown as NativeQueue;
    queue.unlinkSync();
    queue.closeSync();
  } catch (error) {
    if (!(error instanceof SegmentError) || !UNREADABLE.includes(error.code)) throw error;
    removeDamaged(error);
  }
}
