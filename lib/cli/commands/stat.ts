import type { QueueDescriptor } from '../../descriptor/descriptor';
import type { QueueStats, ResolveOptions } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { naming, parseQueue } from '../queue-uri';
import { bytes, count, table } from '../io/table';

export const stat: Command = {
  summary: 'Shows the counters of one queue',
  usage: 'stat QUEUE [options]',
  help: `Totals are over all processes since the queue was made. This command itself is not counted among those attached.

  --json   { queueId, queueType, qsize, maxsize, putTotal, getTotal, … }

${CREDENTIALS_HELP}`,
  examples: ['sage-queue stat shm:numbers', 'sage-queue stat sage:events --json | jq .qsize'],
  options: { json: { type: 'boolean' }, ...credentialOptions },
  operands: [1, 1],
  run,
};

async function run(args: Arguments): Promise<number> {
  const [name] = args.operands as [string];
  const descriptor = parseQueue(name);
  const credentials = credentialsOf(args, descriptor);
  try {
    const stats = await statsOf(descriptor, credentials);
    process.stdout.write(args.flag('json') ? `${JSON.stringify(stats, undefined, 2)}\n` : shown(stats));
  } catch (error) {
    throw naming(name, error);
  }
  return EXIT_OK;
}

/** Attaches for a moment. @throws QueueNotFoundError */
async function statsOf(descriptor: QueueDescriptor, credentials?: ResolveOptions['credentials']): Promise<QueueStats> {
  const queue = resolveDescriptor(descriptor, { create: 'never', credentials });
  try {
    const stats = await queue.stats();
    return stats.attached === undefined
      ? stats
      : { ...stats, attached: stats.attached.filter(({ pid }) => pid !== process.pid) };
  } finally {
    await queue.close();
  }
}

function shown(stats: QueueStats): string {
  const rows: [string, string | undefined][] = [
    ['queue', `${stats.queueId} (${stats.queueType})`],
    ['items', `${count(stats.qsize)}${stats.maxsize > 0 ? ` of at most ${count(stats.maxsize)}` : ''}`],
    ['on lease', stats.leased === undefined ? undefined : count(stats.leased)],
    ['put in all', count(stats.putTotal)],
    ['got in all', count(stats.getTotal)],
    ['bytes put in all', stats.putBytesTotal === undefined ? undefined : bytes(stats.putBytesTotal)],
    [
      'payload',
      stats.capacityBytes === undefined ? undefined : `${bytes(stats.usedBytes ?? 0)} of ${bytes(stats.capacityBytes)}`,
    ],
    [
      'attached',
      stats.attached?.map(({ pid, alive }) => (alive ? String(pid) : `${pid} (dead)`)).join(' ') || undefined,
    ],
    ['waiting to get', stats.waitingGetters?.toString()],
    ['waiting to put', stats.waitingPutters?.toString()],
    ['recovered from the dead', stats.recovered?.toString()],
    ['delivered again', stats.redelivered?.toString()],
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return table(known[0]!, known.slice(1), []);
}
