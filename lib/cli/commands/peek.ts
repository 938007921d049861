import type { LeaseBatch, NativeQueue, Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { itemBytes } from '../io/item-text';
import type { ItemFormat } from '../io/item-text';
import { leaseThere, readBatch, readItem } from '../io/leased-items';
import { naming, parseQueue } from '../queue-uri';

export const peek: Command = {
  summary: 'Shows the next items of a queue and leaves them there',
  usage: 'peek QUEUE [--count N] [options]',
  help: `Writes the next item as get does. An empty queue brings nothing, with status 0; one that cannot be decoded ends it, with status 1.

  --count N   up to N items (1). More than one, and every item of a queue beyond shared memory, is taken on lease and given back
              at once, in its order: that counts as a delivery
  --ndjson    write every item as a line of JSON, text and bytes (as base64) too
  --raw       write text without a newline too

${CREDENTIALS_HELP}`,
  examples: ['sage-queue peek sage:jobs', 'sage-queue peek sage:jobs.dead --count 5 --ndjson | jq .error'],
  options: {
    count: { type: 'string', short: 'n' },
    ndjson: { type: 'boolean' },
    raw: { type: 'boolean' },
    ...credentialOptions,
  },
  operands: [1, 1],
  run,
};

async function run(args: Arguments): Promise<number> {
  const [name] = args.operands as [string];
  if (args.flag('ndjson') && args.flag('raw')) throw new UsageError('--ndjson and --raw exclude each other.');
  const format: ItemFormat = args.flag('ndjson') ? 'json' : args.flag('raw') ? 'raw' : 'lines';
  const count = args.integer('count', 1) ?? 1;
  const descriptor = parseQueue(name);
  try {
    const queue = resolveDescriptor(descriptor, {
      create: 'never',
      credentials: credentialsOf(args, descriptor),
    }) as Queue;
    try {
      const { found, failure } = await nextItems(queue, count, (item) => itemBytes(item, format));
      for (const bytes of found) process.stdout.write(bytes);
      if (failure !== undefined) throw failure.error;
    } finally {
      await queue.close();
    }
  } catch (error) {
    throw naming(name, error);
  }
  return EXIT_OK;
}

/** As they are shown, up to the first that cannot be read. */
async function nextItems(
  queue: Queue,
  count: number,
  show: (item: unknown) => Uint8Array,
): Promise<{ found: Uint8Array[]; failure?: { error: unknown } }> {
  const { peekSync } = queue as Partial<NativeQueue>;
  if (count === 1 && peekSync !== undefined) {
    const next = peekSync.call(queue);
    return { found: next === undefined ? [] : [show(next.item)] };
  }
  const found: Uint8Array[] = [];
  const batches: LeaseBatch<unknown>[] = [];
  try {
    while (found.length < count && !(await queue.empty())) {
      const batch = await leaseThere(queue, count - found.length);
      if (batch === undefined) break;
      batches.push(batch);
      const read = await readBatch(batch, (item) => show(readItem(item)));
      found.push(...read.found);
      if (read.failure !== undefined) return { found, failure: read.failure };
    }
  } finally {
    for (const batch of batches) await batch.release();
  }
  return { found };
}
