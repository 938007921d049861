/** The benchmarks run as docs/benchmarks.md says, each run is checked, and figures and plots come of it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blocksRunBy, ROOT } from '../docs/pages';

const [block, ...others] = blocksRunBy('test/build/bench.test.ts');
const folder = mkdtempSync(join(tmpdir(), 'sage-queue-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('one suite, a few contenders', () => {
  expect(others).toEqual([]);
  const command = block!.code.trim();
  const figures = join(folder, 'figures.json');
  // For this test any figures do.
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `${command} --rounds 1 --ms 500 --out ${figures}`], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const { suites } = JSON.parse(readFileSync(figures, 'utf8')) as {
    suites: { id: string; failures: unknown[]; results: { name: string; runs: unknown[] }[] }[];
  };
  expect(suites.map(({ id, failures }) => ({ id, failures }))).toEqual([{ id: 'bytes-64', failures: [] }]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const names = suites[0]!.results.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['sage_queue/sync', 'sage_queue/await', 'unix_socket_corked']));
  for (const name of names) expect(stdout).toContain(name);
  expect(existsSync(join(folder, 'figures-plots/bytes-64.svg'))).toBe(true);
}, 60_000);
