/** What SECURITY.md promises stands on tests: the files that it names are there, with the titles that it quotes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { read, ROOT } from './pages';

const rows = read('SECURITY.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| who'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test.each(rows.map((cells) => [cells[1]!, cells[4]!]))('%s', (_who, tests) => {
  const named = [...tests.matchAll(/`([^`]+)` ((?:"[^"]+"(?:, )?)+)/g)];
  expect(named.length).toBeGreaterThan(0);
  for (const [, file, titles] of named) {
    const text = readFileSync(join(ROOT, file!), 'utf8');
    for (const [, title] of titles!.matchAll(/"([^"]+)"/g)) expect(text).toContain(title!.replaceAll('\\_', '_'));
  }
});
