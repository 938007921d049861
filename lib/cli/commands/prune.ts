import { pruneSegments } from '../../transports/shm/segments';
import { EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { segmentFilter } from '../globs';
import { segmentUri } from '../queue-uri';
import { bytes, count } from '../io/table';

export const prune: Command = {
  summary: 'Removes shared-memory queues that nobody is attached to',
  usage: 'prune [GLOB …] [--dry-run] [--include-non-empty] [--json]',
  help: `Only your own queues, only those to which no living process is attached, and only empty ones. With GLOBs only
those whose name or URI matches one.

  --dry-run             show what would go
  --include-non-empty   also those that hold items, which are lost with them
  --json                an array as that of 'ls --json'`,
  examples: ['sage-queue prune --dry-run', "sage-queue prune 'sage:test.*' --include-non-empty"],
  options: { 'dry-run': { type: 'boolean' }, 'include-non-empty': { type: 'boolean' }, json: { type: 'boolean' } },
  operands: [0, Infinity],
  run,
};

async function run(args: Arguments): Promise<number> {
  const dryRun = args.flag('dry-run');
  const segments = pruneSegments({
    dryRun,
    includeNonEmpty: args.flag('include-non-empty'),
    match: segmentFilter(args.operands),
  });
  if (args.flag('json')) {
    const listed = segments.map((segment) => ({ uri: segmentUri(segment), ...segment }));
    process.stdout.write(`${JSON.stringify(listed, undefined, 2)}\n`);
    return EXIT_OK;
  }
  const verb = dryRun ? 'would remove' : 'removed';
  for (const segment of segments) {
    process.stdout.write(`${verb} ${segmentUri(segment)} (${bytes(segment.bytes)}, ${count(segment.qsize)} items)\n`);
  }
  if (segments.length === 0) process.stdout.write('nothing to remove\n');
  return EXIT_OK;
}
