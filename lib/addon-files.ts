/** Which files may be the addon of this machine, best first. Also read by the install script, so it needs nothing else of the package. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * node-gyp-build's choice, then every other binary for this platform and CPU: it takes a system for musl only where it finds
 * Alpine's release file. A binary for the wrong libc fails to load without harm, so that trying is how to find out.
 */
export function addonFiles(root: string): string[] {
  const files: string[] = [];
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- only where the addon is wanted
    files.push((require('node-gyp-build') as { resolve(directory: string): string }).resolve(root));
  } catch {
    // It has no match; the loop below may.
  }
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No prebuilt binary for this platform.
  }
  for (const name of names.sort()) {
    if (name.endsWith('.node') && !files.includes(join(folder, name))) files.push(join(folder, name));
  }
  return files;
}
