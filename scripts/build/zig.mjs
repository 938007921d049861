// The pinned compiler of the prebuilt binaries: installed by hash into .cache/zig, where no user of the package meets it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const home = join(root, '.cache/zig');
const requirements = join(root, 'tools/zig/requirements.txt');

export const targets = [
  { platform: 'linux', arch: 'x64', libc: 'glibc', triple: 'x86_64-linux-gnu.2.17' },
  { platform: 'linux', arch: 'x64', libc: 'musl', triple: 'x86_64-linux-musl' },
  { platform: 'linux', arch: 'arm64', libc: 'glibc', triple: 'aarch64-linux-gnu.2.17' },
  { platform: 'linux', arch: 'arm64', libc: 'musl', triple: 'aarch64-linux-musl' },
  { platform: 'darwin', arch: 'x64', triple: 'x86_64-macos.11.0' },
  { platform: 'darwin', arch: 'arm64', triple: 'aarch64-macos.11.0' },
];

/** Where a target's binary lies in the package. */
export const prebuildOf = ({ platform, arch, libc }) =>
  join('prebuilds', `${platform}-${arch}`, ['sage_queue', libc, 'node'].filter(Boolean).join('.'));

function installed() {
  const lib = join(home, 'venv/lib');
  if (!existsSync(lib)) return undefined;
  return readdirSync(lib)
    .map((python) => join(lib, python, 'site-packages/ziglang/zig'))
    .find((file) => existsSync(file));
}

/** Path of the zig program. The environment variable ZIG names another one. */
export function zig() {
  if (process.env.ZIG) return process.env.ZIG;
  if (installed() === undefined) execFileSync('python3', ['-m', 'venv', join(home, 'venv')], { stdio: 'inherit' });
  // Does nothing when the pinned version is there, replaces another one.
  execFileSync(
    join(home, 'venv/bin/pip'),
    ['install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '-r', requirements],
    { stdio: 'inherit' },
  );
  return installed();
}

/** What was compiled once per target (mostly the C++ library) is kept: minutes at first, seconds afterwards. */
export const zigCache = process.env.ZIG_GLOBAL_CACHE_DIR ?? join(home, 'cache');

/** Digest of all that goes into a binary; prebuilds/ carries the one it was built from, so that stale binaries are noticed. */
export function sourcesDigest() {
  const files = [
    'CMakeLists.txt',
    'cmake/zig.cmake',
    'tools/zig/requirements.txt',
    'native/sources.gypi',
    'native/exports.ver',
  ];
  for (const folder of ['native/core', 'native/binding']) {
    for (const name of readdirSync(join(root, folder), { recursive: true })) files.push(join(folder, name));
  }
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const path = join(root, file);
    if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}
export const digestOf = (target) => join('prebuilds', `${target.triple}.sources`);

/** Whether a target's binary is there and made from the sources as they are. */
export function isCurrent(target) {
  const stamp = join(root, digestOf(target));
  return (
    existsSync(join(root, prebuildOf(target))) && existsSync(stamp) && readFileSync(stamp, 'utf8') === sourcesDigest()
  );
}
