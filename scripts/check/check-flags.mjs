// Compares what node-gyp (a user's own compile) and CMake (everything else) hand to the compiler: definitions, language
// standard, visibility, RTTI, exceptions and link flags must be the same. Differences meant are listed in docs/install.md.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../build/zig.mjs';

const require = createRequire(import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), 'sage-queue-flags-'));
const run = (command, args) =>
  execFileSync(command, args, { cwd: scratch, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const differences = [];

/** Of a command line: what the two builds have to agree on. */
function essence(words) {
  const last = (pattern) => words.filter((word) => pattern.test(word)).pop();
  return {
    defines: words
      .filter((word) => /^-D(NAPI|NODE_A|NDEBUG|SAGE)/.test(word))
      .map((word) => word.replace(/=1$/, ''))
      .sort()
      .join(' '),
    standard: last(/^-std=/),
    optimisation: last(/^-O/),
    visibility: last(/^-fvisibility=/),
    rtti: words.includes('-fno-rtti') ? 'off' : 'on',
    exceptions: words.includes('-fno-exceptions') ? 'off' : 'on',
    position: last(/^-f(PIC|pic)$/),
  };
}

try {
  for (const path of ['native', 'binding.gyp', 'CMakeLists.txt', 'package.json', 'scripts']) {
    cpSync(join(root, path), join(scratch, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
  const nodedir = run(process.execPath, ['scripts/build/nodedir.mjs']).trim();
  const gyp = [require.resolve('node-gyp/bin/node-gyp.js'), 'configure', `--nodedir=${nodedir}`];
  run(process.execPath, gyp);
  const make = readFileSync(join(scratch, 'build/sage_queue.target.mk'), 'utf8');
  const variable = (name) => {
    const found = new RegExp(`^${name} := \\\\?\\n?((?:.*\\\\\\n)*.*)`, 'm').exec(make);
    return (found?.[1] ?? '')
      .replace(/\\\n/g, ' ')
      .trim()
      .split(/\s+/)
      .map((word) => word.replaceAll("'", ''));
  };
  const gypWords = ['DEFS_Release', 'CFLAGS_Release', 'CFLAGS_CC_Release'].flatMap(variable);
  const gypLink = variable('LDFLAGS_Release').join(' ');

  run('cmake', ['-S', '.', '-B', 'cmake-build', '-DCMAKE_BUILD_TYPE=Release']);
  const commands = JSON.parse(readFileSync(join(scratch, 'cmake-build/compile_commands.json'), 'utf8'));
  const binding = commands.find(({ file }) => file.endsWith('binding/module.cc'));
  const fromGyp = essence(gypWords);
  const fromCmake = essence(binding.command.split(/\s+/));
  for (const key of Object.keys(fromGyp)) {
    console.log(`${key.padEnd(13)} ${fromGyp[key]}`);
    if (fromGyp[key] !== fromCmake[key]) differences.push(`${key}: node-gyp ${fromGyp[key]}, CMake ${fromCmake[key]}`);
  }
  const cmakeLink = readFileSync(join(scratch, 'cmake-build/CMakeFiles/sage_queue.dir/link.txt'), 'utf8');
  for (const flag of process.platform === 'linux' ? ['-z,nodelete', 'version-script'] : []) {
    if (!gypLink.includes(flag)) differences.push(`node-gyp links without ${flag}`);
    if (!cmakeLink.includes(flag)) differences.push(`CMake links without ${flag}`);
  }
  const {
    core_sources: core,
    linux_sources: linux,
    addon_sources: addon,
  } = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8')).variables;
  if (process.platform === 'linux' && commands.length !== core.length + linux.length + addon.length) {
    differences.push(
      `CMake compiles ${commands.length} files, native/sources.gypi names ${core.length + linux.length + addon.length}`,
    );
  }
  // What gyp would tell Xcode, seen from any system.
  run(process.execPath, [...gyp, '--', '-f', 'gypd', '-DOS=mac']);
  const mac = readFileSync(join(scratch, 'binding.gypd'), 'utf8');
  if (!/'MACOSX_DEPLOYMENT_TARGET': '11\.0'/.test(mac))
    differences.push('on macOS node-gyp does not build for 11.0 and later');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const difference of differences) console.error(`flags: ${difference}`);
process.exitCode = differences.length === 0 ? 0 : 1;
