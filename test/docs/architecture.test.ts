/** docs/architecture.md is true: every place that it names is there, and no room is left out. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { read, ROOT } from './pages';

const page = read('docs/architecture.md');
const places = [...page.matchAll(/`((?:lib|native|test|proto)\/[\w./-]*)`/g)].map((match) => match[1]!);

test.each([...new Set(places)])('%s', (place) => expect(existsSync(join(ROOT, place))).toBe(true));

test('every room', () => {
  const rooms = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${folder}/${name}/`);
  const all = [
    ...rooms('lib').filter((room) => room !== 'lib/transports/'),
    ...rooms('lib/transports'),
    ...rooms('native/core'),
  ];
  expect(all.length).toBeGreaterThan(10);
  expect(all.filter((room) => !places.includes(room))).toEqual([]);
});

test('every folder of tests', () => {
  const folders = readdirSync(join(ROOT, 'test'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => `test/${name}/`).filter((folder) => !places.includes(folder))).toEqual([]);
});
