// Builds prebuilds/ for every target, or for those whose name begins with an argument: `npm run build:prebuilds -- linux-x64`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { digestOf, root, sourcesDigest, targets, zig } from './zig.mjs';

const wanted = process.argv.slice(2);
const chosen = targets.filter(({ platform, arch, libc }) => {
  const name = [platform, arch, libc].filter(Boolean).join('-');
  return wanted.length === 0 || wanted.some((start) => name.startsWith(start));
});
if (chosen.length === 0) throw new Error(`No target begins with ${wanted.join(' or ')}.`);
const compiler = zig();
const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
if (wanted.length === 0) rmSync(join(root, 'prebuilds'), { recursive: true, force: true });
for (const target of chosen) {
  const { platform, arch, libc, triple } = target;
  console.log(`\n${platform}-${arch}${libc === undefined ? '' : `-${libc}`} (${triple})`);
  const sources = sourcesDigest();
  // A folder of its own, so that the development build in build/ stays.
  const folder = join(root, 'out/prebuild', triple);
  mkdirSync(folder, { recursive: true });
  execFileSync(
    process.execPath,
    [
      ...[prebuildify, '--napi', '--name', 'sage_queue', '--platform', platform, '--arch', arch],
      ...[
        '--cwd',
        folder,
        '--out',
        root,
        '--target',
        '20.0.0',
        '--node-gyp',
        join(root, 'scripts/build/cmake-backend.mjs'),
      ],
      ...(libc === undefined ? [] : ['--tag-libc', libc]),
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ZIG: compiler, ZIG_TARGET: triple } },
  );
  writeFileSync(join(root, digestOf(target)), sources);
}
