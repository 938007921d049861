// Builds the wheels of every platform and the source distribution into out/python/wheels, on one Linux machine, with the compiler of the
// prebuilt Node binaries: `npm run build:wheels`, or those whose tag has one of the arguments in it: `npm run build:wheels -- musllinux`.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { folder, python, wheelTag, wheels } from './wheels.mjs';
import { root, targets, zig, zigCache } from './zig.mjs';

const run = (command, args, options = {}) => execFileSync(command, args, { cwd: root, stdio: 'inherit', ...options });

/** Python.h and what it includes, with the one file in it that a distribution may have split by CPU: all targets are alike to it. */
function headers() {
  const copied = join(folder, 'include');
  const [from, configuration] = execFileSync(
    python,
    ['-c', 'import sysconfig; print(sysconfig.get_path("include"), sysconfig.get_config_h_filename(), sep="\\n")'],
    { encoding: 'utf8' },
  ).split('\n');
  rmSync(copied, { recursive: true, force: true });
  cpSync(from, copied, { recursive: true, dereference: true });
  cpSync(configuration, join(copied, 'pyconfig.h'));
  return copied;
}

function compile({ triple }, include) {
  const build = join(folder, 'build', triple);
  const settings = {
    CMAKE_TOOLCHAIN_FILE: join(root, 'cmake/zig.cmake'),
    ZIG: zig(),
    ZIG_TARGET: triple,
    SAGE_BUILD_ADDON: 'OFF',
    SAGE_BUILD_PYTHON: 'ON',
    PYTHON_INCLUDE: include,
  };
  const environment = { env: { ...process.env, ZIG_GLOBAL_CACHE_DIR: zigCache } };
  const given = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  run('cmake', ['-S', root, '-B', build, ...given], { ...environment, stdio: ['ignore', 'ignore', 'inherit'] });
  run('cmake', ['--build', build, '--target', 'sage_python', '--parallel', '2'], environment);
  return join(build, 'python/_native.abi3.so');
}

run(join(root, 'scripts/build/python-package.sh'), []);
const wanted = process.argv.slice(2);
const chosen = targets.filter(
  (target) => wanted.length === 0 || wanted.some((part) => wheelTag(target).includes(part)),
);
if (chosen.length === 0) throw new Error(`No wheel has ${wanted.join(' or ')} in its tag.`);
if (wanted.length === 0) rmSync(wheels, { recursive: true, force: true });
mkdirSync(wheels, { recursive: true });
const include = headers();
for (const target of chosen) {
  console.log(`\n${wheelTag(target)} (${target.triple})`);
  // setup.py takes the file as it is, instead of compiling one for this machine.
  const compiled = { SAGE_QUEUE_EXTENSION: compile(target, include), SAGE_QUEUE_PLATFORM: wheelTag(target) };
  const build = join(folder, 'build', target.triple, 'wheel');
  run(
    python,
    [
      'setup.py',
      '--quiet',
      'build',
      '--build-base',
      build,
      'bdist_wheel',
      '--bdist-dir',
      `${build}-tree`,
      '--dist-dir',
      wheels,
    ],
    { cwd: join(root, 'python'), env: { ...process.env, ...compiled } },
  );
}
for (const file of readdirSync(join(folder, 'dist'))) {
  if (file.endsWith('.tar.gz')) cpSync(join(folder, 'dist', file), join(wheels, file));
}
