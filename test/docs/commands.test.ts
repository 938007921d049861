/** Commands that pages only name, because they take minutes or change the machine: the script, the folder of tests or the program is there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pages, read, ROOT } from './pages';

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

const named = (pattern: RegExp): [string, string][] =>
  pages.flatMap((page) => [...read(page).matchAll(pattern)].map((match): [string, string] => [match[1]!, page]));
const scriptsNamed = named(/\bnpm run (?:-s )?([\w:]+(?:-[\w:]+)*)/g);
const foldersNamed = named(/\bnpx jest ([\w./-]*\w)/g);
const programsNamed = named(/(?<![\w./-])((?:scripts|bench|tools)\/[\w/-]+\.(?:mjs|cjs|sh|py|ts))/g);

test('there are some of each', () => {
  for (const found of [scriptsNamed, foldersNamed, programsNamed]) expect(found.length).toBeGreaterThan(0);
});

test('scripts of package.json', () => expect(scriptsNamed.filter(([script]) => !(script in scripts))).toEqual([]));

test('folders and files', () => {
  // jest takes the beginning of a test's path.
  const there = (path: string): boolean => ['', '.test.ts'].some((end) => existsSync(join(ROOT, path + end)));
  expect([...foldersNamed, ...programsNamed].filter(([path]) => !there(path))).toEqual([]);
});
