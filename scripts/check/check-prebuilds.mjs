// The gate over prebuilds/: one file per target, and each of the right CPU, needing and exporting only what it may.
// `npm run check:prebuilds -- linux-x64` looks at the targets that begin so. Needs binutils' readelf for the ELF files.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { digestOf, isCurrent, prebuildOf, root, targets } from '../build/zig.mjs';

const require = createRequire(import.meta.url);
const apiVersion = require('../../package.json').binary.napi_versions[0];
const { js_native_api_symbols: engineApi, node_api_symbols: nodeApi } =
  require('node-api-headers').symbols[`v${apiVersion}`];
const allowedApi = new Set([...engineApi, ...nodeApi]);
const ENTRIES = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const MAX_BYTES = 700 * 1024;
const MAX_GLIBC = [2, 17];
const NEEDED = {
  glibc: ['libc.so.6', 'libpthread.so.0', 'libdl.so.2', 'librt.so.1', 'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1'],
  musl: ['libc.so'],
  darwin: ['/usr/lib/libSystem.B.dylib'],
};

const same = (left, right) => left.length === right.length && left.every((value, index) => value === right[index]);

function checkElf(file, { arch, libc }, complain) {
  const readelf = (...flags) => execFileSync('readelf', ['-W', ...flags, file], { encoding: 'utf8' });
  const machine = /Machine:\s+(.*)/.exec(readelf('-h'))[1];
  if (!machine.includes(arch === 'x64' ? 'X86-64' : 'AArch64')) complain(`is for ${machine}`);
  const dynamic = readelf('-d');
  for (const [, library] of dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)) {
    if (!NEEDED[libc].includes(library)) complain(`needs ${library}`);
  }
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) complain('has a search path for libraries');
  if (!/NODELETE/.test(dynamic)) complain('can be unloaded (no NODELETE)');
  const symbols = readelf('--dyn-syms')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => /^\d+:$/.test(columns[0] ?? '') && columns[7] !== undefined)
    .map((columns) => ({
      undefined: columns[6] === 'UND',
      name: columns[7].split('@')[0],
      version: columns[7].split('@').pop(),
    }));
  const exported = symbols.filter((symbol) => !symbol.undefined).map((symbol) => symbol.name);
  if (!same(exported.sort(), ENTRIES)) complain(`exports ${exported.join(', ')}`);
  let highest = [0, 0];
  for (const { undefined: missing, name, version } of symbols) {
    if (!missing) continue;
    if (/^(napi|node_api)_/.test(name) && !allowedApi.has(name))
      complain(`uses ${name}, which Node-API ${apiVersion} does not have`);
    const found = /^GLIBC_(\d+)\.(\d+)/.exec(version);
    if (found === null) {
      if (/^(GLIBCXX|CXXABI|GCC)_/.test(version)) complain(`needs ${version}`);
      continue;
    }
    const [major, minor] = [Number(found[1]), Number(found[2])];
    if (major > highest[0] || (major === highest[0] && minor > highest[1])) highest = [major, minor];
  }
  if (libc === 'glibc' && (highest[0] > MAX_GLIBC[0] || highest[1] > MAX_GLIBC[1]))
    complain(`needs GLIBC_${highest.join('.')}`);
  return libc === 'glibc' ? `GLIBC_${highest.join('.')}` : 'musl';
}

function checkMachO(bytes, { arch }, complain) {
  if (bytes.readUInt32LE(0) !== 0xfeedfacf) return complain('is no 64-bit Mach-O file');
  if (bytes.readUInt32LE(4) !== (arch === 'x64' ? 0x01000007 : 0x0100000c)) complain('is for another CPU');
  if (bytes.readUInt32LE(12) !== 6) complain('is no dynamic library');
  let oldest = 'none';
  let signed = false;
  let offset = 32;
  for (let count = bytes.readUInt32LE(16); count > 0; count--) {
    const command = bytes.readUInt32LE(offset);
    const textAt = (at) => bytes.toString('latin1', offset + at, bytes.indexOf(0, offset + at));
    if (command === 0xc || command === 0x80000018) {
      const library = textAt(bytes.readUInt32LE(offset + 8));
      if (!NEEDED.darwin.includes(library)) complain(`needs ${library}`);
    } else if (command === 0x8000001c) {
      complain('has a search path for libraries');
    } else if (command === 0x1d) {
      signed = true;
    } else if (command === 0x32) {
      const version = bytes.readUInt32LE(offset + 12);
      oldest = `${version >> 16}.${(version >> 8) & 255}`;
    } else if (command === 0x2) {
      const [table, entries, strings] = [8, 12, 16].map((at) => bytes.readUInt32LE(offset + at));
      const exported = [];
      for (let index = 0; index < entries; index++) {
        const entry = table + 16 * index;
        const type = bytes.readUInt8(entry + 4);
        const at = strings + bytes.readUInt32LE(entry);
        const name = bytes.toString('latin1', at + 1, bytes.indexOf(0, at));
        if ((type & 0xe0) !== 0 || (type & 1) === 0) continue; // debugging, or local
        const missing = (type & 0x0e) === 0;
        if (!missing && (type & 0x10) === 0) exported.push(name);
        if (missing && /^(napi|node_api)_/.test(name) && !allowedApi.has(name)) complain(`uses ${name}`);
      }
      // The linker makes the first two itself, and keeps C++'s replaceable operators new and delete weak and visible: both sides
      // are malloc and free.
      const surplus = exported.filter(
        (name) => !ENTRIES.includes(name) && !/^(_mh_dylib_header|__dso_handle|_Z(nwm|nam|dlPv|daPv).*)$/.test(name),
      );
      if (surplus.length > 0) complain(`exports ${surplus.join(', ')}`);
      if (!ENTRIES.every((name) => exported.includes(name))) complain('does not export its entry points');
    }
    offset += bytes.readUInt32LE(offset + 4);
  }
  if (oldest !== '11.0') complain(`is for macOS ${oldest} and later, not 11.0`);
  if (arch === 'arm64' && !signed) complain('has no signature');
  return `macOS ${oldest}`;
}

const wanted = process.argv.slice(2);
const chosen = targets.filter(
  (target) => wanted.length === 0 || wanted.some((start) => prebuildOf(target).startsWith(join('prebuilds', start))),
);
const complaints = [];
for (const target of chosen) {
  const name = prebuildOf(target);
  const file = join(root, name);
  if (!existsSync(file)) {
    complaints.push(`${name} is missing`);
    continue;
  }
  const complain = (what) => complaints.push(`${name} ${what}`);
  if (!isCurrent(target)) complain('was not built from the sources as they are: `npm run build:prebuilds`');
  const bytes = readFileSync(file);
  if (bytes.length > MAX_BYTES) complain(`has ${bytes.length} bytes, more than ${MAX_BYTES}`);
  for (const path of [root, homedir() === '/' ? root : `${homedir()}/`]) {
    if (bytes.includes(path)) complain(`holds the build path ${path}`);
  }
  const needs = target.platform === 'linux' ? checkElf(file, target, complain) : checkMachO(bytes, target, complain);
  console.log(
    `${name.padEnd(44)} ${String(bytes.length).padStart(7)} bytes  ${needs}  sha256 ${createHash('sha256').update(bytes).digest('hex')}`,
  );
}
if (wanted.length === 0 && existsSync(join(root, 'prebuilds'))) {
  const expected = new Set(targets.flatMap((target) => [prebuildOf(target), digestOf(target)]));
  for (const folder of readdirSync(join(root, 'prebuilds'))) {
    if (expected.has(join('prebuilds', folder))) continue;
    for (const file of readdirSync(join(root, 'prebuilds', folder))) {
      if (!expected.has(join('prebuilds', folder, file)))
        complaints.push(`prebuilds/${folder}/${file} belongs to no target`);
    }
  }
}
for (const complaint of complaints) console.error(`prebuilds: ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
