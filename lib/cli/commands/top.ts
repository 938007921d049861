import { setTimeout as delay } from 'node:timers/promises';
import { listSegments } from '../../transports/shm/segments';
import type { SegmentInfo } from '../../transports/shm/segments';
import { EXIT_OK } from '../command';
import type { Arguments, Command } from '../command';
import { interruption } from '../io/interrupt';
import { RIGHT, alive, limitOf, stateOf } from './ls';
import { parseQueue, segmentUri } from '../queue-uri';
import { statsOf } from './stat';
import { COLUMN_GAP, count, table } from '../io/table';

export const top: Command = {
  summary: 'Shows the shared-memory queues of this host and their rates, again and again',
  usage: 'top [--interval-ms N] [--count N]',
  help: `On a terminal the picture is renewed in place, elsewhere each follows the one before. Ctrl-C ends it.

  --interval-ms N   time between two pictures (1000)
  --count N         end after N pictures`,
  examples: ['sage-queue top', 'sage-queue top --interval-ms 200 --count 10 > rates.txt'],
  options: { 'interval-ms': { type: 'string' }, count: { type: 'string' } },
  operands: [0, 0],
  run,
};

const HEADINGS = ['QUEUE', 'ITEMS', 'MAXSIZE', 'PUT/S', 'GET/S', 'ATTACHED', 'STATE'];

/** Characters of a name that are shown, however narrow the terminal. */
const LEAST_NAME = 12;

interface Sample {
  readonly atMs: number;
  readonly putTotal: number;
  readonly getTotal: number;
}

async function sampleOf(segment: SegmentInfo): Promise<Sample | undefined> {
  // Not a queue that is shut down: one that is finished starts anew with whoever comes next, which must not be this.
  if (segment.shutDown) return undefined;
  try {
    const { putTotal, getTotal } = await statsOf(parseQueue(segmentUri(segment)));
    return { atMs: performance.now(), putTotal, getTotal };
  } catch {
    // Gone in the meantime, or another user's.
    return undefined;
  }
}

const perSecond = (total: number, before: number, ms: number): string =>
  count(Math.max(0, Math.round(((total - before) * 1000) / ms)));

async function run(args: Arguments): Promise<number> {
  const intervalMs = args.integer('interval-ms', 10) ?? 1000;
  const pictures = args.integer('count', 1) ?? Infinity;
  const signal = interruption();
  const inPlace = process.stdout.isTTY === true;
  let before = new Map<string, Sample>();
  for (let picture = 0; picture < pictures; picture++) {
    if (picture > 0) {
      await delay(intervalMs, undefined, { signal }).catch(() => {
        throw signal.reason;
      });
    }
    const samples = new Map<string, Sample>();
    const rows: string[][] = [];
    const segments = listSegments().sort((a, b) => (segmentUri(a) < segmentUri(b) ? -1 : 1));
    for (const segment of segments) {
      const uri = segmentUri(segment);
      const sample = await sampleOf(segment);
      const last = before.get(uri);
      if (sample !== undefined) samples.set(uri, sample);
      const known = sample !== undefined && last !== undefined;
      const elapsedMs = known ? sample.atMs - last.atMs : 0;
      rows.push([
        uri,
        count(segment.qsize),
        limitOf(segment.maxsize),
        known ? perSecond(sample.putTotal, last.putTotal, elapsedMs) : '-',
        known ? perSecond(sample.getTotal, last.getTotal, elapsedMs) : '-',
        String(alive(segment)),
        stateOf(segment),
      ]);
    }
    before = samples;
    const text = table(HEADINGS, inPlace ? fitted(rows) : rows, RIGHT);
    process.stdout.write(inPlace ? onScreen(text) : `${text}\n`);
    if (process.stdout.destroyed || process.stdout.errored !== null) break;
  }
  return EXIT_OK;
}

/** From the upper left corner, each line to its end, then the rest of the screen. Of queues that do not fit the number is told. */
function onScreen(text: string): string {
  const { columns = 80, rows = 24 } = process.stdout;
  const all = text.trimEnd().split('\n');
  // The line below the last one is the cursor's.
  const fitting = rows - 1;
  const shown =
    all.length <= fitting ? all : [...all.slice(0, fitting - 1), `… ${count(all.length - fitting + 1)} more`];
  const lines = shown.map((line) => `${line.slice(0, columns)}\u001b[K\n`);
  return `\u001b[H${lines.join('')}\u001b[J`;
}

/** With names so short that the other columns fit beside them. */
function fitted(rows: readonly string[][]): string[][] {
  const others = HEADINGS.slice(1).map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column + 1]!.length)),
  );
  const room = (process.stdout.columns ?? 80) - others.reduce((sum, width) => sum + width + COLUMN_GAP, 0);
  const most = Math.max(LEAST_NAME, room);
  return rows.map(([name, ...rest]) => [name!.length > most ? `${name!.slice(0, most - 1)}…` : name!, ...rest]);
}
