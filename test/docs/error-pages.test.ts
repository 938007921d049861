/** Every code that the package can throw has a page with its cure, and the index names each of them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pages, read, ROOT } from './pages';

const codes = new Set(
  execFileSync('git', ['grep', '-hoE', "'ERR_[A-Z]+(_[A-Z]+)+'", '--', 'lib'], { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
    .map((quoted) => quoted.slice(1, -1))
    // Node's own.
    .filter((code) => !/^ERR_(HTTP|TLS|INVALID|IPC|STREAM|SOCKET|UNKNOWN)/.test(code)),
);
const index = read('docs/errors/README.md');

test('there are codes', () => expect([...codes]).toContain('ERR_SEGMENT_NO_SPACE'));

test.each([...codes].sort())('%s', (code) => {
  expect(existsSync(join(ROOT, `docs/errors/${code}.md`))).toBe(true);
  const page = read(`docs/errors/${code}.md`);
  expect(page).toContain(`# ${code}\n`);
  expect(page).toMatch(/\*\*Why\.\*\* .+/);
  expect(page).toMatch(/\*\*What to do\.\*\* .+/);
});

test('the index names every page', () => {
  const named = pages.filter((page) => /^docs\/errors\/ERR_/.test(page));
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((page) => !index.includes(`(${page.slice('docs/errors/'.length)})`))).toEqual([]);
});
