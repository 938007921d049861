import type { QueueDescriptor } from '../../descriptor/descriptor';
import { SegmentError } from '../../errors';
import type { NativeQueue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { removeDamaged } from './damaged-segment';
import { naming, parseQueue } from '../queue-uri';

export const rm: Command = {
  summary: 'Removes a shared-memory queue, with what is in it',
  usage: 'rm QUEUE',
  help: `The name goes at once. Processes that are attached keep working with each other until they close; whoever comes by the name
later starts a new queue. A file of your own under that name which is damaged, and which no process has mapped, goes too.`,
  examples: ['sage-queue rm shm:numbers'],
  options: {},
  operands: [1, 1],
  run,
};

const UNREADABLE: readonly string[] = ['ERR_SEGMENT_CORRUPT', 'ERR_SEGMENT_VERSION'];

async function run(args: Arguments): Promise<number> {
  const [name] = args.operands as [string];
  const descriptor = parseQueue(name);
  if (descriptor.queueType !== 'shm' && descriptor.queueType !== 'sage_queue') {
    throw new UsageError(`rm removes shm: and sage: queues; '${name}' is of type ${descriptor.queueType}.`);
  }
  try {
    removeQueue(descriptor);
  } catch (error) {
    throw naming(name, error);
  }
  return EXIT_OK;
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
