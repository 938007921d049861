// What npm would publish: only what the whitelist means, under the size limit, without what prebuilt installs do not need,
// and clean for publint and for the types of every way of resolving (attw). Entry points count only where they are built.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../build/zig.mjs';

const MAX_BYTES = 4 * 1024 * 1024;
const ALLOWED =
  /^(package\.json|README\.md|LICENSE|(CHANGELOG|CONTRIBUTING|SECURITY)\.md|docs\/.+\.(md|svg)|examples\/.+\.(mjs|py|md|json|yaml)|binding\.gyp|CMakeLists\.txt|dist\/.+|proto\/.+\.proto|prebuilds\/[\w-]+\/[\w.]+\.node|native\/.+\.(cc|h)|native\/sources\.gypi|native\/exports\.ver|scripts\/build\/install\.cjs)$/;
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const complaints = [];
const scratch = mkdtempSync(join(tmpdir(), 'sage-queue-pack-'));
try {
  const [report] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const tarball = join(scratch, report.filename);
  const bytes = statSync(tarball).size;
  console.log(
    `${report.filename}: ${report.files.length} files, ${bytes} bytes packed, ${report.unpackedSize} unpacked`,
  );
  if (bytes > MAX_BYTES) complaints.push(`the tarball has ${bytes} bytes, more than ${MAX_BYTES}`);
  const inside = new Set(report.files.map((file) => file.path));
  for (const path of inside) if (!ALLOWED.test(path)) complaints.push(`${path} does not belong into the package`);
  const { variables } = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8'));
  const required = [
    ...Object.values(variables).flat(),
    'native/exports.ver',
    'native/sources.gypi',
    'binding.gyp',
    'scripts/build/install.cjs',
    'dist/transports/shm/addon-files.js',
  ];
  for (const bin of Object.values(manifest.bin)) required.push(bin.replace('./', ''));
  for (const [name, target] of Object.entries(manifest.exports)) {
    const files =
      typeof target === 'string'
        ? [target]
        : [target.import, target.require].flatMap((way) => [way.types, way.default]);
    for (const file of files)
      if (!inside.has(file.replace('./', ''))) complaints.push(`the entry point ${name} has no ${file}`);
  }
  for (const file of required) if (!inside.has(file)) complaints.push(`${file} is missing from the package`);
  // npm publishes what it has corrected, which nobody has tried.
  copyFileSync(join(root, 'package.json'), join(scratch, 'package.json'));
  execFileSync('npm', ['pkg', 'fix'], { cwd: scratch, stdio: 'ignore' });
  if (readFileSync(join(scratch, 'package.json'), 'utf8') !== readFileSync(join(root, 'package.json'), 'utf8'))
    complaints.push('npm would correct package.json: see what `npm pkg fix` changes');
  const bin = (name) => join(root, 'node_modules/.bin', name);
  for (const [name, args] of [
    ['publint', ['--strict', tarball]],
    ['attw', [tarball, '--format', 'table-flipped']],
  ]) {
    try {
      execFileSync(bin(name), args, { cwd: root, stdio: 'inherit' });
    } catch {
      complaints.push(`${name} has complaints`);
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (!existsSync(join(root, 'prebuilds')))
  console.log('note: prebuilds/ is missing, so this tarball is smaller than the one published');
for (const complaint of complaints) console.error(`pack: ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
