/** The two files of the README's "Between processes", as they stand there. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '../..');
const name = `readme-${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), 'sage-queue-readme-'));
afterAll(() => rmSync(directory, { recursive: true }));

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

test('every worker ends, also one that starts when the others have drained the queue', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  for (const file of ['dispatcher.mjs', 'worker.mjs']) {
    const code = readme.split('```js\n').find((block) => block.startsWith(`// ${file}\n`))!;
    writeFileSync(join(directory, file), code.split('```')[0]!.replace("'tasks'", `'${name}'`));
  }
  writeFileSync(join(directory, 'late.mjs'), LATE);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(ROOT, join(directory, 'node_modules/sage-queue'));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', './late.mjs', 'dispatcher.mjs'], {
    cwd: directory,
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const numbers = stdout.trim().split('\n').map(Number);
  expect(numbers).toEqual(Array.from({ length: 1000 }, (_, number) => number));
}, 30_000);
