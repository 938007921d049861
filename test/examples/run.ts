/** Programs of examples/, run as they stand. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SHM } from '../shm/place';

export const EXAMPLES = join(__dirname, '../../examples');
export const segments = (): string[] => readdirSync(SHM).filter((file) => file.startsWith('sage-queue+'));

/** The lines that an example prints. */
export async function runExample(name: string, ...args: string[]): Promise<string[]> {
  const before = segments();
  const options = { timeout: 50_000, killSignal: 'SIGKILL' } as const;
  const running = promisify(execFile)(process.execPath, [join(EXAMPLES, `${name}.mjs`), ...args], options);
  // Each names its queues after its process, and leaves none behind, even when it fails.
  const ended = await running.catch((error: Error & { stdout: string }) => error);
  const left = segments().filter((segment) => !before.includes(segment));
  expect(left.filter((segment) => segment.includes(`-${running.child.pid}`))).toEqual([]);
  if (ended instanceof Error) throw new Error(`${ended.message}\nAfter: ${ended.stdout}`);
  const { stdout, stderr } = ended;
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}
