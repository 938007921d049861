/** The two files of the README's "Two processes", as they stand there, when workers start late or not at all. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { getSageQueue } from '../../lib';
import { blocks, ROOT } from './pages';

const name = `readme-${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), 'sage-queue-readme-'));
const elsewhere = mkdtempSync(join(tmpdir(), 'sage-queue-elsewhere-'));

beforeAll(() => {
  const readme = blocks('README.md');
  for (const file of ['dispatcher.mjs', 'worker.mjs']) {
    const { code } = readme.find((block) => block.code.startsWith(`// ${file}\n`))!;
    expect(code).toContain("'tasks'");
    writeFileSync(join(directory, file), code.replace("'tasks'", `'${name}'`));
  }
  writeFileSync(join(directory, 'late.mjs'), LATE);
  writeFileSync(join(directory, 'broken.mjs'), BROKEN);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(ROOT, join(directory, 'node_modules/sage-queue'));
});
afterAll(() => {
  // What was put and never taken is still there.
  getSageQueue(name).unlinkSync();
  for (const folder of [directory, elsewhere]) rmSync(folder, { recursive: true });
});

/** Loaded first in each worker: the second to come starts when the first has ended. */
const LATE = `
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
if (process.argv[1].endsWith('worker.mjs')) {
  // A dispatcher that is killed takes its workers along.
  process.on('disconnect', () => process.exit(1));
  process.channel.unref();
  let first = true;
  try { mkdirSync('first'); } catch { first = false; }
  if (first) process.on('exit', () => writeFileSync('ended', ''));
  else while (!existsSync('ended')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}
`;

/** Loaded first in each process: a worker does not come as far as its first line. */
const BROKEN = `if (process.argv[1].endsWith('worker.mjs')) process.exit(7);`;

/** From another folder than the files lie in. */
const dispatch = (preload: string): Promise<{ stdout: string }> =>
  promisify(execFile)(process.execPath, ['--import', join(directory, preload), join(directory, 'dispatcher.mjs')], {
    cwd: elsewhere,
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });

test('every worker ends, also one that starts when the others have drained the queue', async () => {
  const { stdout } = await dispatch('late.mjs');
  const numbers = stdout.trim().split('\n').map(Number);
  expect(numbers).toEqual(Array.from({ length: 1000 }, (_, number) => number));
}, 30_000);

test('workers that fail to start end the dispatcher with an error', async () => {
  const failed = (await dispatch('broken.mjs').catch((error: unknown) => error)) as { code: number; stderr: string };
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('A worker ended with 7.');
}, 30_000);
