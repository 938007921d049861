#!/usr/bin/env node
// What prebuildify runs in place of node-gyp: CMake with zig. The arguments are node-gyp's and are ignored; prebuild-all.mjs
// says what to build in the environment. prebuildify takes build/Release/*.node of the folder it runs this in.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, zigCache } from './zig.mjs';

const { ZIG: zig, ZIG_TARGET: target } = process.env;
const tree = join(process.cwd(), 'tree');
const run = (args) =>
  execFileSync('cmake', args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ZIG_GLOBAL_CACHE_DIR: zigCache, ZIG_LOCAL_CACHE_DIR: join(zigCache, 'local') },
  });
rmSync(tree, { recursive: true, force: true });
run([
  ...['-S', root, '-B', tree, '-DCMAKE_BUILD_TYPE=Release', `-DCMAKE_TOOLCHAIN_FILE=${join(root, 'cmake/zig.cmake')}`],
  ...[`-DZIG=${zig}`, `-DZIG_TARGET=${target}`],
]);
run(['--build', tree, '--parallel', process.env.JOBS ?? '2']);
mkdirSync('build/Release', { recursive: true });
copyFileSync(join(tree, 'sage_queue.node'), 'build/Release/sage_queue.node');
