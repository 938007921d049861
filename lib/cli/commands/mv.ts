import { CODEC_STRUCT } from '../../codec/codec-ids';
import { isSealed } from '../../codec/encoded-item';
import { isEncodedLender, isEncodedSource } from '../../queue/encoded-source';
import type { LeaseBatch, Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK, EXIT_TIMEOUT, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { Interrupted, interruption } from '../io/interrupt';
import { leaseThere, readBatch, readItem, sizeToMove } from '../io/leased-items';
import { count } from '../io/table';
import { naming, parseQueue } from '../queue-uri';

/** Items on lease at a time. */
const AT_ONCE = 64;

export const mv: Command = {
  summary: 'Moves items from one queue to another',
  usage: 'mv FROM TO [--count N] [options]',
  help: `Moves what is there when it starts; what is put into FROM meanwhile stays. TO is made if there is none. An item leaves FROM once TO has it: one that this command
is killed over is in both, and none is in neither. Items go as they are, whatever their codec, but into and out of queues with a schema and queues
of other packages: one that cannot be decoded then stays in FROM with those behind it, with status 1.

  --count N        at most N items
  --timeout-ms N   wait at most N ms for room in TO; status 3 when that was too short

${CREDENTIALS_HELP} They go to both queues.`,
  examples: ['sage-queue mv shm:old shm:new', 'sage-queue mv sage:jobs rpc://host:7411/jobs --count 1000'],
  options: { count: { type: 'string', short: 'n' }, 'timeout-ms': { type: 'string' }, ...credentialOptions },
  operands: [2, 2],
  run,
};

async function run(args: Arguments): Promise<number> {
  const [from, to] = args.operands as [string, string];
  const limit = args.integer('count') ?? Infinity;
  const timeoutMs = args.integer('timeout-ms');
  const [source, target] = [parseQueue(from), parseQueue(to)];
  if (source.equals(target)) throw new UsageError('FROM and TO are the same queue.');
  const signal = interruption();
  let moved = 0;
  let current = from;
  const open: Queue[] = [];
  try {
    const queue = resolveDescriptor(source, { create: 'never', credentials: credentialsOf(args, source) }) as Queue;
    open.push(queue);
    current = to;
    const other = resolveDescriptor(target, { credentials: credentialsOf(args, target) }) as Queue;
    open.push(other);
    current = from;
    const most = Math.min(limit, await sizeToMove(queue));
    while (moved < most) {
      const batch = await leaseThere(queue, Math.min(AT_ONCE, most - moved));
      if (batch === undefined) break;
      current = to;
      const outcome = await moveBatch(batch, other, timeoutMs, signal);
      moved += outcome.moved;
      current = from;
      if (outcome.failure !== undefined) throw outcome.failure.error;
    }
  } catch (error) {
    const told = `${count(moved + acceptedBefore(error))} items were moved, the rest stays in ${from}.`;
    if (error instanceof Interrupted) throw new Interrupted(error.status, `interrupted; ${told}`);
    if ((error as { code?: unknown }).code === 'ERR_QUEUE_FULL') {
      process.stderr.write(`sage-queue: ${to} had no room within ${timeoutMs} ms; ${told}\n`);
      return EXIT_TIMEOUT;
    }
    throw naming(current, error, open.length === 2 ? told : undefined);
  } finally {
    for (const queue of open) await queue.close();
  }
  process.stdout.write(`moved ${count(moved)} items\n`);
  return EXIT_OK;
}

const acceptedBefore = (error: unknown): number => (error as { accepted?: number } | null)?.accepted ?? 0;

/**
 * How an item gets into a queue: as it lies. Only what TO does not take so is read first: items of a schema, which are their own queue's,
 * and all where TO has one or stands outside of this package.
 */
function passage(target: Queue): (item: unknown) => unknown {
  const { schema } = target.descriptor.metadata;
  const hasSchema = (schema ?? null) !== null || (isEncodedSource(target) && target.schemas().length > 0);
  if (hasSchema || !isEncodedLender(target)) return readItem;
  return (item) => (isSealed(item) && item.codec !== CODEC_STRUCT ? item : readItem(item));
}

/** What TO has taken leaves FROM, the rest goes back in its order. @returns how many, and why not all */
async function moveBatch(
  batch: LeaseBatch<unknown>,
  target: Queue,
  timeoutMs: number | undefined,
  signal: AbortSignal,
): Promise<{ moved: number; failure?: { error: unknown } }> {
  const { found, failure } = await readBatch(batch, passage(target));
  try {
    await target.putMany(found, { timeoutMs, signal });
  } catch (error) {
    for (const lease of batch.leases.slice(0, acceptedBefore(error))) await lease.ack();
    await batch.release();
    throw error;
  }
  await batch.ack();
  return { moved: found.length, failure };
}
