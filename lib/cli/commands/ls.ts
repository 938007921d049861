import { listSegments, listUnreadableSegments } from '../../transports/shm/segments';
import type { SegmentInfo } from '../../transports/shm/segments';
import { EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { segmentFilter } from '../globs';
import { segmentUri } from '../queue-uri';
import { age, bytes, count, table } from '../io/table';

export const ls: Command = {
  summary: 'Lists the shared-memory queues of this host',
  usage: 'ls [GLOB …] [--json]',
  help: `Looking at a queue does not attach to it. With GLOBs only those whose name or URI matches one are listed: quote them. Queues that cannot be read (another user's, damaged) are named on stderr.

  --json   an array of { uri, name, namespace?, tenantUid?, queueType, queueId, bytes, qsize, maxsize, attached, shutDown, layoutVersion, createdTimestamp, earlierBoot? }`,
  examples: [
    'sage-queue ls',
    "sage-queue ls 'sage:jobs.*'",
    "sage-queue ls --json | jq -r '.[] | select(.qsize > 0).uri'",
  ],
  options: { json: { type: 'boolean' } },
  operands: [0, Infinity],
  run,
};

const HEADINGS = ['QUEUE', 'ITEMS', 'MAXSIZE', 'MEMORY', 'ATTACHED', 'AGE', 'STATE'];
const RIGHT = ['ITEMS', 'MAXSIZE', 'MEMORY', 'ATTACHED', 'AGE'];

export const alive = (segment: SegmentInfo): number => segment.attached.filter(({ alive }) => alive).length;

export const stateOf = (segment: SegmentInfo): string =>
  segment.shutDown ? 'shut down' : alive(segment) > 0 ? 'in use' : 'nobody attached';

export const limitOf = (maxsize: number): string => (maxsize === 0 ? '-' : count(maxsize));

async function run(args: Arguments): Promise<number> {
  const segments = listSegments()
    .filter(segmentFilter(args.operands))
    .sort((a, b) => (segmentUri(a) < segmentUri(b) ? -1 : 1));
  for (const { error } of listUnreadableSegments()) process.stderr.write(`sage-queue: ${error.message}\n`);
  if (args.flag('json')) {
    const listed = segments.map((segment) => ({ uri: segmentUri(segment), ...segment }));
    process.stdout.write(`${JSON.stringify(listed, undefined, 2)}\n`);
    return EXIT_OK;
  }
  const now = Date.now() / 1000;
  const rows = segments.map((segment) => [
    segmentUri(segment),
    count(segment.qsize),
    limitOf(segment.maxsize),
    bytes(segment.bytes),
    String(alive(segment)),
    age(now - segment.createdTimestamp),
    stateOf(segment),
  ]);
  process.stdout.write(table(HEADINGS, rows, RIGHT));
  return EXIT_OK;
}
