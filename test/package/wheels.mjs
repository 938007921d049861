// Installs the wheels and the source distribution of the Python package as users do, and runs the program of its page there.
//   npm run test:wheels                  every case (fetches an emulator and runtimes, some 30 MB, once)
//   npm run test:wheels -- x64 sdist     the cases whose name begins so
//   npm run test:wheels -- own           the wheel that `npm run build:python` made for this machine
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folder, python, sourceDistribution, wheelOf } from '../../scripts/build/wheels.mjs';
import { root, targets, zig, zigCache } from '../../scripts/build/zig.mjs';
import { runtime } from './runtimes.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'sage-queue-wheels-'));
const page = readFileSync(join(root, 'python/README.md'), 'utf8');
const program = /^```python [^\n]*\n(.*?)^```$/ms.exec(page)[1];
const PRINTED = "{'image': 'a.png', 'width': 320}\n";
const target = (arch, libc) =>
  targets.find((one) => one.platform === 'linux' && one.arch === arch && one.libc === libc);

function run(command, args, env = {}) {
  try {
    return execFileSync(command, args, {
      cwd: scratch,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: 300_000,
    });
  } catch (error) {
    throw new Error(
      `${[command, ...args].join(' ')} failed (${error.status})\n${error.stdout ?? ''}${error.stderr ?? ''}`,
    );
  }
}

function expectPage(command, args, env) {
  const segments = join(scratch, 'segments');
  rmSync(segments, { recursive: true, force: true });
  mkdirSync(segments);
  const printed = run(command, [...args, '-c', program], { ...env, SAGE_QUEUE_DIR: segments });
  if (printed !== PRINTED) throw new Error(`the program of python/README.md printed ${printed}`);
  const left = readdirSync(segments);
  if (left.length > 0) throw new Error(`it left ${left.join(', ')}`);
}

/** An empty virtual environment; what pip may call is in `tools` and nowhere else. */
function install(name, file, tools) {
  const environment = join(scratch, name);
  run('python3', ['-m', 'venv', environment]);
  const bin = join(environment, 'tools');
  mkdirSync(bin);
  for (const tool of tools) symlinkSync(run('sh', ['-c', `command -v ${tool}`]).trim(), join(bin, tool));
  const installed = join(environment, 'bin/python');
  run(installed, ['-m', 'pip', '--disable-pip-version-check', '--quiet', 'install', file], { PATH: bin });
  return installed;
}

/** What pip lays there for another platform: it takes the wheel by its tag, and its dependencies for the same. */
function installFor(one, platform) {
  const installed = join(scratch, platform);
  const flags = ['--only-binary=:all:', '--platform', platform, '--python-version', '3.11', '--implementation', 'cp'];
  run(python, ['-m', 'pip', '--quiet', 'install', '--target', installed, ...flags, wheelOf(one)]);
  return installed;
}

/**
 * No Python for musl is to be had here: the loader of musl loads the extension, into a program that has each name of Python's that it uses
 * and nothing behind it. Every name of the C library is looked up at once.
 */
async function loadWithMusl(one, platform, prefix, loader) {
  const extension = join(installFor(one, platform), 'sage_queue/_native.abi3.so');
  const symbols = run('readelf', ['-W', '--dyn-syms', extension]);
  const names = [...symbols.matchAll(/ UND (_?Py\w+)$/gm)].map(([, name]) => name);
  if (names.length < 50) throw new Error(`it uses ${names.length} names of Python`);
  const source = join(scratch, `${platform}.c`);
  writeFileSync(
    source,
    `#include <dlfcn.h>\n#include <stdio.h>\n${names.map((name) => `char ${name}[64];\n`).join('')}` +
      'int main(int count, char** words) {\n' +
      '  void* extension = dlopen(words[1], RTLD_NOW);\n' +
      '  if (extension == NULL) return puts(dlerror()), 1;\n' +
      '  return puts(dlsym(extension, "PyInit__native") == NULL ? "no entry" : "loaded"), count != 2;\n}\n',
  );
  const host = join(scratch, `${platform}-host`);
  run(zig(), ['cc', '-target', one.triple, '-dynamic', '-rdynamic', '-o', host, source], {
    ZIG_GLOBAL_CACHE_DIR: zigCache,
  });
  const printed = run(prefix[0] ?? loader, [
    ...prefix.slice(1),
    ...(prefix.length > 0 ? [loader] : []),
    host,
    extension,
  ]);
  if (printed !== 'loaded\n') throw new Error(printed);
}

/** What scripts/build/python-package.sh made. */
function built(ending) {
  const dist = join(folder, 'dist');
  return join(dist, readdirSync(dist).find((file) => file.endsWith(ending))); // prettier-ignore
}

const qemu = async () => join(await runtime('qemu'), 'usr/bin/qemu-aarch64-static');
const cases = {
  'own, without a compiler': () => expectPage(install('own', built('.whl'), []), []),
  'x64, glibc': () => expectPage(install('wheel', wheelOf(target('x64', 'glibc')), []), []),
  sdist: () => expectPage(install('sdist', sourceDistribution, ['gcc', 'g++', 'cc', 'c++', 'as', 'ld', 'strip']), []),
  'arm64, glibc, under qemu': async () => {
    const debian = await runtime('python-arm64');
    const installed = installFor(target('arm64', 'glibc'), 'manylinux2014_aarch64');
    expectPage(await qemu(), ['-L', debian, join(debian, 'usr/bin/python3.11'), '-S'], {
      PYTHONPATH: installed,
      PYTHONHOME: join(debian, 'usr'),
    });
  },
  'x64, musl, loaded only': async () =>
    loadWithMusl(
      target('x64', 'musl'),
      'musllinux_1_2_x86_64',
      [],
      join(await runtime('musl'), 'usr/lib/x86_64-linux-musl/libc.so'),
    ),
  'arm64, musl, loaded only, under qemu': async () =>
    loadWithMusl(
      target('arm64', 'musl'),
      'musllinux_1_2_aarch64',
      [await qemu()],
      join(await runtime('musl-arm64'), 'usr/lib/aarch64-linux-musl/libc.so'),
    ),
};

const chosen = process.argv.slice(2);
let failed = 0;
for (const [name, check] of Object.entries(cases)) {
  if (chosen.length > 0 && !chosen.some((start) => name.startsWith(start))) continue;
  try {
    await check();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.error(`FAIL  ${name}\n${error.message}`);
  }
}
rmSync(scratch, { recursive: true });
process.exitCode = failed === 0 ? 0 : 1;
