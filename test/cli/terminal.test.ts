/** What is shown to somebody at a terminal. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, startOnTerminal, uniqueName, until } from './command';
import type { Running } from './command';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-cli-'));
const name = uniqueName('terminal');
const long = `${name}.${'x'.repeat(100)}`;
const queues = [`shm:${long}`, ...[1, 2, 3, 4].map((number) => `shm:${name}.${number}`)];
let running: Running | undefined;
afterEach(() => running?.child.kill('SIGKILL'));
afterAll(async () => {
  rmSync(directory, { recursive: true });
  for (const queue of queues) await command(['rm', queue]);
});

async function screen(args: string[], size: { rows?: number; columns?: number }): Promise<string[]> {
  running = startOnTerminal(args, size);
  const { stdout } = await running.outcome;
  return stdout
    .toString()
    .replace(/\u001b\[\d*[A-Za-z]/g, '')
    .trimEnd()
    .split(/\r?\n/);
}

describe('top', () => {
  beforeAll(async () => {
    for (const queue of queues) await command(['put', queue], 'x\n');
  });

  test('says how many queues did not fit', async () => {
    const shown = await screen(['top', '--count', '1'], { rows: 5 });
    expect(shown).toHaveLength(4);
    expect(shown[0]).toMatch(/^[\d,]+ queues, [\d,]+ items, /);
    expect(shown[3]).toMatch(/^… [\d,]+ more$/);
  });

  test('shortens a name rather than hide what is beside it', async () => {
    const shown = await screen(['top', '--count', '1'], { rows: 500, columns: 80 });
    const line = shown.find((text) => /^shm:\S*…x+ /.test(text))!; // others may have queues here, too
    expect(line.length).toBeLessThanOrEqual(80);
    expect(line).toMatch(/^\S+…\S+ +\d+ +\d+% +\S+ +\d+\/\d+ /);
  });
});

test('put shows no progress to somebody who types the items', async () => {
  const queue = `shm:${name}.1`;
  running = startOnTerminal(['put', queue]);
  running.child.stdin.write('typed\n\u0004');
  const { status, stdout } = await running.outcome;
  expect(status).toBe(0);
  expect(stdout.toString()).not.toMatch(/items/);
});

test('put on a full queue counts the items that are in', async () => {
  const file = join(directory, 'many');
  writeFileSync(file, 'x\n'.repeat(1000));
  const queue = `shm:${name}.5`;
  queues.push(queue);
  running = startOnTerminal(['put', queue, file, '--maxsize', '2']);
  let shown = '';
  running.child.stdout.on('data', (text: Buffer) => (shown += text.toString()));
  await until('two items are told', () => /put 2 items/.test(shown));
});

test('the demo shows how far it is, alone and with its workers', async () => {
  // The places of the data set without what is worked out for each: still more than the 200 ms between two looks, in all.
  running = startOnTerminal(['demo', '--value', 'lat', '--batch', '5']);
  const { status, stdout } = await running.outcome;
  expect(status).toBe(0);
  const shown = stdout.toString();
  expect(shown).toMatch(/one process: 171,075 items in [\d.]+ s/);
  expect(shown).toMatch(/\d+ workers: [\d,]+ items {3}[\d,]+\/s {3}queue [\d,]+/);
  expect(shown).toMatch(/\d+ workers: 171,075 items in [\d.]+ s/);
  expect(shown).toMatch(/\d\.\d\d times as fast as one process, on \d+ cores\r?\n/);
}, 60_000);
