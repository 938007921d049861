import type { NativeQueue } from '../queue';
import { resolveDescriptor } from '../registry';
import { EXIT_OK, UsageError } from './command';
import type { Arguments, Command } from './command';
import { naming, parseQueue } from './queue-uri';

export const rm: Command = {
  summary: 'Removes a shared-memory queue, with what is in it',
  usage: 'rm QUEUE',
  help: `The name goes at once. Processes that are attached keep working with each other until they close; whoever comes by the name
later starts a new queue.`,
  examples: ['sage-queue rm shm:numbers'],
  options: {},
  operands: [1, 1],
  run,
};

async function run(args: Arguments): Promise<number> {
  const [name] = args.operands as [string];
  const descriptor = parseQueue(name);
  if (descriptor.queueType !== 'shm' && descriptor.queueType !== 'sage_queue') {
    throw new UsageError(`rm removes shm: and sage: queues; '${name}' is of type ${descriptor.queueType}.`);
  }
  try {
    const queue = resolveDescriptor(descriptor, { create: 'never' }) as unknown as NativeQueue;
    queue.unlinkSync();
    queue.closeSync();
  } catch (error) {
    throw naming(name, error);
  }
  return EXIT_OK;
}
