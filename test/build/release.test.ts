/** `npm run release` makes a commit and a tag out of the CHANGELOG, and refuses what would make a release of something else. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
let tree: string;

const git = (...args: string[]): string => execFileSync('git', args, { cwd: tree, encoding: 'utf8' }).trim();
const release = (...args: string[]): { status: number | null; stderr: string } =>
  spawnSync(process.execPath, [join(ROOT, 'scripts/release.mjs'), ...args], { cwd: tree, encoding: 'utf8' });

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'sage-queue-release-'));
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(ROOT, file), join(tree, file));
  writeFileSync(
    join(tree, 'CHANGELOG.md'),
    '# Changelog\n\n## Unreleased\n\n### Added\n\n- Wings.\n\n## 0.0.9 (2026-01-02)\n\n- Feet.\n',
  );
  git('init', '--quiet', '--initial-branch=main');
  git('config', 'user.name', 'A tester');
  git('config', 'user.email', 'tester@example.org');
  git('remote', 'add', 'origin', 'git@github.com:sage-queue/sage-queue.git');
  git('add', '.');
  git('commit', '--quiet', '--message', 'All of it');
});
afterEach(() => rmSync(tree, { recursive: true }));

test('the section gets version and day, package.json the version, the tag the text', () => {
  expect(release('0.3.0')).toMatchObject({ status: 0, stderr: '' });
  const changelog = readFileSync(join(tree, 'CHANGELOG.md'), 'utf8');
  expect(changelog).toMatch(/## Unreleased\n\n## 0\.3\.0 \(\d{4}-\d\d-\d\d\)\n\n### Added\n\n- Wings\.\n\n## 0\.0\.9/);
  for (const file of ['package.json', 'package-lock.json']) {
    expect(JSON.parse(readFileSync(join(tree, file), 'utf8'))).toMatchObject({ version: '0.3.0' });
  }
  expect(git('for-each-ref', '--format=%(contents)', 'refs/tags/v0.3.0')).toBe('0.3.0\n\n### Added\n\n- Wings.');
  expect(git('status', '--porcelain')).toBe('');
  expect(git('rev-parse', 'v0.3.0^{commit}')).toBe(git('rev-parse', 'HEAD'));
});

test.each<[string, string[], RegExp, () => void]>([
  ['no version', [], /which version/, () => {}],
  ['another branch', ['0.3.0'], /made on main/, () => git('checkout', '--quiet', '-b', 'other')],
  ['changes', ['0.3.0'], /not committed/, () => writeFileSync(join(tree, 'new'), '')],
  ['a version that there is', ['0.3.0'], /v0\.3\.0 already/, () => git('tag', 'v0.3.0')],
  [
    'another repository',
    ['0.3.0'],
    /remote 'origin'/,
    () => git('remote', 'set-url', 'origin', 'https://example.org/a/b'),
  ],
  [
    'nothing to say',
    ['0.3.0'],
    /nothing stands/,
    () => {
      writeFileSync(join(tree, 'CHANGELOG.md'), '# Changelog\n\n## Unreleased\n\n## 0.0.9\n\n- Feet.\n');
      git('commit', '--quiet', '--all', '--message', 'Nothing');
    },
  ],
])('refused: %s', (_what, args, message, change) => {
  change();
  const before = git('rev-parse', 'HEAD');
  const { status, stderr } = release(...args);
  expect(status).toBe(1);
  expect(stderr).toMatch(message);
  expect(git('rev-parse', 'HEAD')).toBe(before);
});
