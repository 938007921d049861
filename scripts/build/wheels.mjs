// The wheels of the Python package: one for each target of zig.mjs, beside the source distribution.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './zig.mjs';

export const folder = join(root, 'out/python');
/** Where they lie. */
export const wheels = join(folder, 'wheels');
/** An interpreter with what builds and checks them: scripts/build/python-package.sh makes it. */
export const python = join(folder, 'venv/bin/python');
export const version = /^version = "(.*)"$/m.exec(readFileSync(join(root, 'python/pyproject.toml'), 'utf8'))[1];

/** As it stands in the name of the file: names of one platform, the older form first. */
export function wheelTag({ platform, arch, libc }) {
  const cpu = arch === 'x64' ? 'x86_64' : platform === 'darwin' ? 'arm64' : 'aarch64';
  if (platform === 'darwin') return `macosx_11_0_${cpu}`;
  return libc === 'musl' ? `musllinux_1_2_${cpu}` : `manylinux2014_${cpu}.manylinux_2_17_${cpu}`;
}

export const wheelOf = (target) => join(wheels, `sage_queue-${version}-cp311-abi3-${wheelTag(target)}.whl`);
export const sourceDistribution = join(wheels, `sage_queue-${version}.tar.gz`);
