/** Every link of README and docs leads somewhere: in the repository, and for what is published in the package, too. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { anchors, links, pages, ROOT } from './pages';

const inside = (page: string, target: string): { path: string; anchor: string } => {
  const [path, anchor] = target.split('#') as [string, string | undefined];
  return { path: path === '' ? page : posix.join(posix.dirname(page), path), anchor: anchor ?? '' };
};
const relative = (page: string): string[] => links(page).filter((target) => !/^[a-z]+:/.test(target));

test('there are pages with links', () => {
  expect(pages).toContain('README.md');
  expect(relative('README.md').length).toBeGreaterThan(5);
});

test.each(pages)('links of %s', (page) => {
  const broken = relative(page).filter((target) => {
    const { path, anchor } = inside(page, target);
    if (!existsSync(join(ROOT, path))) return true;
    return anchor !== '' && path.endsWith('.md') && !anchors(path).has(anchor);
  });
  expect(broken).toEqual([]);
});

test('what README, CHANGELOG and the packaged pages link to is in the package', () => {
  const [{ files }] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ files: { path: string }[] }];
  const packed = files.map((file) => file.path);
  const missing = packed
    .filter((path) => path.endsWith('.md'))
    .flatMap((page) => relative(page).map((target) => ({ page, ...inside(page, target) })))
    .filter(({ path }) => !packed.some((file) => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`)))
    .map(({ page, path }) => `${page} -> ${path}`);
  expect(missing).toEqual([]);
});
