/** A simulation in a process of its own: between the modules of a test runner it takes twice the time. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const PROGRAM = join(__dirname, '../../scripts/test/simulate.mjs');
/** Of a core, for each simulation. */
const LONG = process.env.SAGE_QUEUE_LONG === '1' ? ['--seconds', '600'] : [];

let child: ChildProcess | undefined;
// Should the test be over before it.
afterEach(() => void child?.kill('SIGKILL'));

/** @param name of a file beside this one. SCHEDULES says how many. @throws Error with what it said, its seed first, when a schedule fails */
export async function simulate(name: string): Promise<void> {
  const { SCHEDULES } = process.env;
  const extent = SCHEDULES === undefined ? LONG : ['--schedules', SCHEDULES];
  const started = spawn(process.execPath, [PROGRAM, name, ...extent], { stdio: ['ignore', 'pipe', 'pipe'] });
  child = started;
  const ended = new Promise<unknown>((resolve) => started.once('exit', (code, signal) => resolve(code ?? signal)));
  const [said, complained] = await Promise.all([text(started.stdout), text(started.stderr)]);
  console.info(said.trim());
  const status = await ended;
  if (status !== 0) throw new Error(`${name} ended by ${String(status)}\n${said}${complained}`);
}
