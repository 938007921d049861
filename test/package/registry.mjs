/**
 * A registry on loopback that has the given tarballs and, of this repository's node_modules, what they depend on: as much of one as
 * `npm install NAME` asks for. Prints its address; ends with its parent's pipe.
 *   node registry.mjs FOLDER TARBALL…
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { root } from '../../scripts/build/zig.mjs';

const [folder, ...tarballs] = process.argv.slice(2);

/** What stands in the tarball of a package about it. */
const manifestIn = (tarball) =>
  JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }));

function packInstalled(name) {
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder];
  return join(folder, execFileSync('npm', args, { cwd: join(root, 'node_modules', name), encoding: 'utf8' }).trim());
}

const packages = new Map();
function take(tarball) {
  const manifest = manifestIn(tarball);
  packages.set(manifest.name, { manifest, tarball });
  for (const name of Object.keys(manifest.dependencies ?? {})) if (!packages.has(name)) take(packInstalled(name));
}
tarballs.forEach(take);

const server = createServer((request, response) => {
  const [name, file] = decodeURIComponent(request.url.slice(1)).split('/-/');
  const found = packages.get(name);
  if (found === undefined) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
  const bytes = readFileSync(found.tarball);
  if (file !== undefined) return response.end(bytes);
  const { manifest } = found;
  const dist = {
    tarball: `http://${request.headers.host}/${name}/-/${basename(found.tarball)}`,
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
  };
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist } },
    }),
  );
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume();
