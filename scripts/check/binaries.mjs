// What a compiled file of a platform may need and give: its CPU, the libraries and versions of symbols, what it exports, no search path.
// `target` is one of zig.mjs; `entries` are the names that the file exports, sorted; `refuses(name)` says of a name that the host program
// gives why it may not be used, or nothing. Needs binutils' readelf for the ELF files.
import { execFileSync } from 'node:child_process';

const MAX_GLIBC = [2, 17];
const NEEDED = {
  glibc: ['libc.so.6', 'libpthread.so.0', 'libdl.so.2', 'librt.so.1', 'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1'],
  musl: ['libc.so'],
  darwin: ['/usr/lib/libSystem.B.dylib'],
};

const same = (left, right) => left.length === right.length && left.every((value, index) => value === right[index]);

/** The newest glibc it needs, or its libc. */
export function checkElf(file, { arch, libc }, { entries, refuses }, complain) {
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
  if (!same(exported.sort(), entries)) complain(`exports ${exported.join(', ')}`);
  let highest = [0, 0];
  for (const { undefined: missing, name, version } of symbols) {
    if (!missing) continue;
    const refused = refuses(name);
    if (refused !== undefined) complain(`uses ${name}, ${refused}`);
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

/** The oldest macOS that loads it. */
export function checkMachO(bytes, { arch }, { entries, refuses }, complain) {
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
      const [table, symbols, strings] = [8, 12, 16].map((at) => bytes.readUInt32LE(offset + at));
      const exported = [];
      for (let index = 0; index < symbols; index++) {
        const entry = table + 16 * index;
        const type = bytes.readUInt8(entry + 4);
        const at = strings + bytes.readUInt32LE(entry);
        const name = bytes.toString('latin1', at + 1, bytes.indexOf(0, at));
        if ((type & 0xe0) !== 0 || (type & 1) === 0) continue; // debugging, or local
        const missing = (type & 0x0e) === 0;
        if (!missing && (type & 0x10) === 0) exported.push(name);
        const refused = missing ? refuses(name) : undefined;
        if (refused !== undefined) complain(`uses ${name}, ${refused}`);
      }
      // The linker makes the first two itself, and keeps C++'s replaceable operators new and delete weak and visible: both sides
      // are malloc and free.
      const surplus = exported.filter(
        (name) => !entries.includes(name) && !/^(_mh_dylib_header|__dso_handle|_Z(nwm|nam|dlPv|daPv).*)$/.test(name),
      );
      if (surplus.length > 0) complain(`exports ${surplus.join(', ')}`);
      if (!entries.every((name) => exported.includes(name))) complain('does not export its entry points');
    }
    offset += bytes.readUInt32LE(offset + 4);
  }
  if (oldest !== '11.0') complain(`is for macOS ${oldest} and later, not 11.0`);
  if (arch === 'arm64' && !signed) complain('has no signature');
  return `macOS ${oldest}`;
}
