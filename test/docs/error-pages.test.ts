/** Every code that the package can throw has a page with its cure, and the index names each of them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as lib from '../../lib';
import * as ray from '../../lib/ray';
import * as work from '../../lib/work';
import { pages, read, ROOT } from './pages';

const codes = new Set(
  execFileSync('git', ['grep', '-hoE', `['"]ERR_[A-Z]+(_[A-Z]+)+['"]`, '--', 'lib', 'native/core', 'native/binding'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
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

/** Code, class and first sentence of each page. */
const first = pages
  .filter((page) => /^docs\/errors\/ERR_/.test(page))
  .map((page) => /^# (\w+)\n\n`(\w+)`\. (.+)\n/.exec(read(page))?.slice(1) ?? [page]);

test('the index has every page, and says what the page says first', () => {
  const rows = [...index.matchAll(/^\| \[`(\w+)`\]\(\1\.md\) +\| `(\w+)` +\| (.+?) +\|$/gm)];
  expect(rows.map((row) => row.slice(1))).toEqual(first);
});

test('the class of each page is one that the package exports', () => {
  const exported = { ...lib, ...ray, ...work, TypeError } as Record<string, unknown>;
  expect(first.filter(([, name]) => typeof exported[name!] !== 'function')).toEqual([]);
});
