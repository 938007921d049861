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
  const { stdout, stderr } = await running.catch((error: Error & { stdout: string }) => {
    throw new Error(`${error.message}\nAfter: ${error.stdout}`);
  });
  expect(stderr).toBe('');
  // Each names its queues after its process, and leaves none behind.
  const left = segments().filter((segment) => !before.includes(segment));
  expect(left.filter((segment) => segment.includes(`-${running.child.pid}`))).toEqual([]);
  return stdout.trimEnd().split('\n');
}
