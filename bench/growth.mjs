/** What more queues, more attached processes and more waiting consumers cost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { progress } from './harness/report.mjs';

const PROBE = fileURLToPath(new URL('harness/growth.cjs', import.meta.url));

async function measure(what, count) {
  const child = spawn(process.execPath, [PROBE, what, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${what} ${count}: the process ended with ${code}`);
  return JSON.parse(text);
}

const tables = [
  {
    what: 'queues',
    title: 'More queues open in one process',
    counts: [1, 10, 100, 1000],
    lines: [
      ['openMs', 'to make one', 'ms'],
      ['residentKiB', 'own memory of each', 'KiB'],
      ['pairNanos', 'putSync and getSync on the last, CPU time', 'ns'],
    ],
  },
  {
    what: 'processes',
    title: 'More processes attached to one queue',
    counts: [1, 4, 16],
    lines: [
      ['attachMs', 'to attach another time and close', 'ms'],
      ['pairNanos', 'putSync and getSync, CPU time', 'ns'],
    ],
  },
  {
    what: 'waiters',
    title: 'More consumers asleep in await get()',
    counts: [1, 4, 16, 64],
    lines: [
      ['idleCpuMs', 'their CPU time in one idle second, to 10 ms', 'ms'],
      ['putMicros', 'putSync that wakes one of them', 'µs'],
    ],
  },
];

/** For each table its lines, and of each line a list of values per count. */
export async function growth(rounds) {
  const results = tables.map(({ what, title, counts, lines }) => ({
    what,
    title,
    counts,
    lines: lines.map(([key, name, unit]) => ({ key, name, unit, values: counts.map(() => []) })),
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { what, counts, lines } of results) {
      for (const [index, count] of counts.entries()) {
        progress(`growth: round ${round + 1} of ${rounds}, ${what} ${count}`);
        const found = await measure(what, count);
        for (const { key, values } of lines) values[index].push(found[key]);
      }
    }
  }
  progress('');
  return results;
}
