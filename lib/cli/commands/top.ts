import { setTimeout as delay } from 'node:timers/promises';
import { LONGEST_TIMER_MS } from '../../wait/deadline';
import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { segmentFilter } from '../globs';
import { hasColours } from '../io/colour';
import { interruption } from '../io/interrupt';
import { onKeys } from '../io/keys';
import { picture } from '../top/picture';
import { SORTS, Sampler, sorted } from '../top/sample';
import type { QueueRow, Sort } from '../top/sample';

export const top: Command = {
  summary: 'Shows the shared-memory queues of this host and their rates, again and again',
  usage: 'top [GLOB …] [options]',
  help: `The busiest queue first. On a terminal the picture is renewed in place; q ends it, r, d and n sort by rate, depth and name, any other key
renews it at once. Elsewhere each picture follows the one before.

  --sort rate|depth|name   what comes first (rate)
  --filter GLOB            only these queues; may be repeated, as operands
  --json                   each picture as a line of JSON
  --interval-ms N          time between two pictures (1000)
  --count N                end after N pictures

WAITING counts threads in which consumers wait for an item and producers for room. FULL is of items or bytes, whichever is fuller; items on
lease keep their place. A narrow terminal shows fewer columns. Red: somebody waits for room; yellow: nearly full; NO_COLOR: none.`,
  examples: [
    'sage-queue top',
    "sage-queue top 'sage:jobs.*' --sort depth",
    'sage-queue top --interval-ms 200 --count 10 --json',
  ],
  options: {
    sort: { type: 'string' },
    filter: { type: 'string', multiple: true },
    json: { type: 'boolean' },
    'interval-ms': { type: 'string' },
    count: { type: 'string' },
  },
  operands: [0, Infinity],
  run,
};

const SORT_KEYS: Record<string, Sort> = { r: 'rate', d: 'depth', n: 'name' };

function readSort(args: Arguments): Sort {
  const given = args.text('sort') ?? 'rate';
  const sort = SORTS.find((known) => known === given);
  if (sort === undefined) throw new UsageError(`--sort takes ${SORTS.join(', ')}, found '${given}'.`);
  return sort;
}

async function run(args: Arguments): Promise<number> {
  const intervalMs = Math.min(args.integer('interval-ms', 10) ?? 1000, LONGEST_TIMER_MS);
  const pictures = args.integer('count', 1) ?? Infinity;
  const json = args.flag('json');
  let sort = readSort(args);
  const sampler = new Sampler(segmentFilter([...args.operands, ...args.texts('filter')]));
  const signal = interruption();
  const inPlace = process.stdout.isTTY === true && !json;
  let quit = false;
  let renew = new AbortController();
  const release = onKeys((key) => {
    quit ||= key === 'q' || key === 'Q';
    sort = SORT_KEYS[key] ?? sort;
    renew.abort();
  });
  try {
    for (let shown = 0; shown < pictures && !quit; shown++) {
      if (shown > 0) {
        await delay(intervalMs, undefined, { signal: AbortSignal.any([signal, renew.signal]) }).catch(() => {
          signal.throwIfAborted();
        });
        if (quit) break;
        renew = new AbortController();
      }
      const rows = sorted(await sampler.rows(), sort);
      process.stdout.write(json ? asJson(rows) : inPlace ? onScreen(rows, sort) : asText(rows, sort));
      if (process.stdout.destroyed || process.stdout.errored !== null) break;
    }
  } finally {
    release();
  }
  return EXIT_OK;
}

const asText = (rows: readonly QueueRow[], sort: Sort): string =>
  `${picture(rows, sort, { columns: Infinity, rows: Infinity, colours: false }).join('\n')}\n\n`;

/** From the upper left corner, each line to its end, then the rest of the screen. */
function onScreen(queues: readonly QueueRow[], sort: Sort): string {
  const { columns = 80, rows = 24 } = process.stdout;
  const lines = picture(queues, sort, { columns, rows, colours: hasColours() });
  return `\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`;
}

function asJson(rows: readonly QueueRow[]): string {
  const queues = rows.map(({ uri, segment, stats, rates, full }) => {
    const { attached, ...counters } = { ...stats, ...segment };
    return {
      uri,
      ...counters,
      attached: attached.filter(({ alive }) => alive).length,
      full: full ?? null,
      rates: rates ?? null,
    };
  });
  return `${JSON.stringify({ time: Date.now() / 1000, queues })}\n`;
}
