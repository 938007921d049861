/** Which files may be the addon of this machine, best first. Also read by the install script, so it needs nothing else of the package. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What was compiled here, then every prebuilt binary for this platform and CPU, first that for the likelier libc. A binary for the wrong
 * libc fails to load without harm, so that trying is how to find out. node-gyp-build, which the install script compiles with, looks in the
 * same places; but to load it and ask takes longer than all the rest of an attach.
 */
export function addonFiles(root: string): string[] {
  const likelier = existsSync('/etc/alpine-release') ? '.musl.' : '.glibc.';
  const prebuilt = addonsIn(join(root, 'prebuilds', `${process.platform}-${process.arch}`));
  return [
    ...addonsIn(join(root, 'build', 'Release')),
    ...prebuilt.filter((file) => file.includes(likelier)),
    ...prebuilt.filter((file) => !file.includes(likelier)),
  ];
}

function addonsIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.node'));
    return names.sort().map((name) => join(folder, name));
  } catch {
    return []; // no such folder
  }
}
