/** What SECURITY.md promises stands on tests: each line names some by file and title, which are there and are not skipped for all. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { read, ROOT } from './pages';

const [promises] = read('SECURITY.md').split('## What this means for you') as [string];
const rows = promises
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| +(\||---)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()) as [string, string, string]);

const quoted = (text: string): string =>
  text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/['"’]/g, `\\\\?['"’]`);

/** As the title of a test, not as text somewhere: jest's first argument, a case of a table, or the name of a native test. */
function isTest(file: string, title: string): boolean {
  const text = readFileSync(join(ROOT, file), 'utf8');
  if (file.endsWith('.cc')) return text.includes(`TEST(${title})`);
  const named = new RegExp(`([\\w.]*|\\))\\(\\s*(['"\`])${quoted(title)}\\2`).exec(text);
  return named !== null && !/\.(skip|todo)$|^(describe|skip|xtest|xit)$/.test(named[1]!);
}

test('every neighbour has lines of either kind', () => {
  const sections = promises.split('\n### ').slice(1);
  expect(sections.length).toBeGreaterThan(5);
  for (const section of sections) expect(section).toMatch(/\*\*can\*\*[\s\S]*\*\*cannot\*\*/);
});

test.each(rows.map(([, promise, tests]) => [promise, tests]))('%s', (_promise, tests) => {
  const named = [...tests.matchAll(/`([^`]+)` ((?:"[^"]+"(?:, )?)+)/g)];
  expect(named.length).toBeGreaterThan(0);
  const titles = named.flatMap(([, file, all]) =>
    [...all!.matchAll(/"([^"]+)"/g)].map(([, title]) => [file!, title!.replaceAll('\\_', '_')] as const),
  );
  expect(titles.filter(([file, title]) => !isTest(file, title))).toEqual([]);
});
