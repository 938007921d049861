// The gate over out/python/wheels: one wheel per target and the source distribution, each with the files it must have and no other, each
// extension of the right CPU, needing and exporting only what its tag allows (manylinux: glibc 2.17 at most), and of Python only what
// the stable interface of 3.11 has. `npm run check:wheels -- musllinux` looks at the wheels whose tag has that in it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { python, sourceDistribution, version, wheelOf, wheelTag, wheels } from '../build/wheels.mjs';
import { root, targets } from '../build/zig.mjs';
import { checkElf, checkMachO } from './binaries.mjs';

const MAX_BYTES = 1024 * 1024;
const EXTENSION = 'sage_queue/_native.abi3.so';
const run = (...args) => execFileSync(python, args, { encoding: 'utf8' });

run('-m', 'pip', '--disable-pip-version-check', '--quiet', 'install', 'abi3info');
const stable = new Set(
  run(
    '-c',
    'from abi3info import DATAS, FUNCTIONS\n' +
      'for symbol, one in [*DATAS.items(), *FUNCTIONS.items()]:\n' +
      '    if (one.added.major, one.added.minor) <= (3, 11): print(symbol.name)',
  ).split('\n'),
);
const rules = {
  entries: ['PyInit__native'],
  refuses: (name) =>
    /^_?Py/.test(name) && !stable.has(name) ? 'which the stable interface of Python 3.11 does not have' : undefined,
};

/** The package as it lies in the tree. */
const sources = readdirSync(join(root, 'python/src/sage_queue'), { recursive: true }).filter((file) =>
  /\.(py|pyi|typed)$/.test(file),
);
const info = `sage_queue-${version}.dist-info`;
const contents = [
  ...sources.map((file) => `sage_queue/${file}`),
  EXTENSION,
  ...['METADATA', 'RECORD', 'WHEEL', 'top_level.txt'].map((file) => `${info}/${file}`),
].sort();

function checkWheel(target, complain) {
  const file = wheelOf(target);
  if (!existsSync(file)) return complain('is missing: `npm run build:wheels`');
  const unpacked = mkdtempSync(join(tmpdir(), 'sage-queue-wheel-'));
  try {
    run('-m', 'zipfile', '-e', file, unpacked);
    const found = readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(unpacked.length + 1))
      .sort();
    for (const name of found) if (!contents.includes(name)) complain(`has ${name}`);
    for (const name of contents) if (!found.includes(name)) complain(`has no ${name}`);
    for (const name of sources.filter((one) => found.includes(`sage_queue/${one}`))) {
      const same = readFileSync(join(unpacked, 'sage_queue', name)).equals(
        readFileSync(join(root, 'python/src/sage_queue', name)),
      );
      if (!same) complain(`has another ${name} than the tree`);
    }
    const said = readFileSync(join(unpacked, info, 'WHEEL'), 'utf8');
    const tags = [...said.matchAll(/^Tag: (.*)$/gm)].map(([, tag]) => tag).sort();
    const wanted = wheelTag(target).split('.').map((platform) => `cp311-abi3-${platform}`).sort(); // prettier-ignore
    if (tags.join() !== wanted.join()) complain(`says it is for ${tags.join(', ')}, not for ${wanted.join(', ')}`);
    if (!/^Root-Is-Purelib: false$/m.test(said)) complain('says that it has no compiled file');
    for (const line of readFileSync(join(unpacked, info, 'RECORD'), 'utf8')
      .trim()
      .split(/\r?\n/)) {
      const [name, hash] = line.split(',');
      if (hash === '') continue;
      const digest = createHash('sha256').update(readFileSync(join(unpacked, name))).digest('base64url'); // prettier-ignore
      if (hash !== `sha256=${digest}`) complain(`has another hash for ${name} in its RECORD`);
    }
    return checkExtension(target, join(unpacked, EXTENSION), complain);
  } finally {
    rmSync(unpacked, { recursive: true });
  }
}

function checkExtension(target, file, complain) {
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  if (bytes.length > MAX_BYTES) complain(`has an extension of ${bytes.length} bytes, more than ${MAX_BYTES}`);
  for (const path of [root, homedir() === '/' ? root : `${homedir()}/`]) {
    if (bytes.includes(path)) complain(`holds the build path ${path}`);
  }
  const needs =
    target.platform === 'linux' ? checkElf(file, target, rules, complain) : checkMachO(bytes, target, rules, complain);
  return `${String(bytes.length).padStart(7)} bytes  ${needs}`;
}

function checkSourceDistribution(complain) {
  if (!existsSync(sourceDistribution)) return complain('is missing: `npm run build:wheels`');
  const listed = execFileSync('tar', ['-tzf', sourceDistribution], { encoding: 'utf8' }).split('\n');
  const has = (name) => listed.includes(`sage_queue-${version}/${name}`);
  const { variables } = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8'));
  const compiled = ['core_sources', 'linux_sources', 'macos_sources'].flatMap((key) => variables[key]);
  for (const name of [...compiled, 'setup.py', 'pyproject.toml', 'README.md', 'native/c_api/sage_queue.h']) {
    if (!has(name)) complain(`has no ${name}`);
  }
  for (const name of sources) if (!has(`src/sage_queue/${name}`)) complain(`has no src/sage_queue/${name}`);
  for (const name of listed) if (/\.so$|\.o$|__pycache__|\.\.\//.test(name)) complain(`has ${name}`);
}

const wanted = process.argv.slice(2);
const complaints = [];
for (const target of targets) {
  if (wanted.length > 0 && !wanted.some((part) => wheelTag(target).includes(part))) continue;
  const name = basename(wheelOf(target));
  const needs = checkWheel(target, (what) => complaints.push(`${name} ${what}`));
  if (needs !== undefined) console.log(`${name.padEnd(84)} ${needs}`);
}
if (wanted.length === 0) {
  checkSourceDistribution((what) => complaints.push(`${basename(sourceDistribution)} ${what}`));
  const expected = [sourceDistribution, ...targets.map(wheelOf)].map((file) => basename(file));
  for (const file of existsSync(wheels) ? readdirSync(wheels) : []) {
    if (!expected.includes(file)) complaints.push(`${file} belongs to no target`);
  }
}
for (const complaint of complaints) console.error(`wheels: ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
