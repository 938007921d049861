/** Which files may be the addon of this machine, best first. Also read by the install script, so it needs nothing else of the package. */
import { existsSync } from 'node:fs';

/** Where Node's permission model hides a file, it is not there. */
function isThere(file: string): boolean {
  try {
    return existsSync(file);
  } catch {
    return false;
  }
}

function prebuilds(): string[] {
  const { platform, arch } = process;
  const libcs =
    platform !== 'linux' ? [''] : isThere('/etc/alpine-release') ? ['.musl', '.glibc'] : ['.glibc', '.musl'];
  return libcs.map((libc) => `prebuilds/${platform}-${arch}/sage_queue${libc}.node`);
}

/**
 * What was compiled here, then the prebuilt binaries for this platform and CPU, first that for the likelier libc. A binary for the wrong
 * libc fails to load without harm, so that trying is how to find out. node-gyp-build, which the install script compiles with, looks in the
 * same places; but to load it and ask takes longer than all the rest of an attach.
 */
export function addonFiles(root: string): string[] {
  return ['build/Release/sage_queue.node', ...prebuilds()].map((file) => `${root}/${file}`).filter(isThere);
}
