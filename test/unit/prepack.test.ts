/** A tarball without prebuilt binaries is not made in silence. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const tree = mkdtempSync(join(tmpdir(), 'sage-queue-prepack-'));
beforeAll(() => {
  cpSync(join(ROOT, 'scripts'), join(tree, 'scripts'), { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(tree, 'package.json'));
});
afterAll(() => rmSync(tree, { recursive: true }));

test('npm pack names the binaries that are missing', () => {
  const { status, stderr } = spawnSync('npm', ['pack', '--dry-run'], { cwd: tree, encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stderr).toMatch(/warning: missing.*prebuilds\/linux-x64\/sage_queue\.glibc\.node.*npm run build:prebuilds/);
});

test('npm publish is refused', () => {
  const env = { ...process.env, npm_command: 'publish' };
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build/prepack.mjs'], {
    cwd: tree,
    env,
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/refused: missing/);
});
