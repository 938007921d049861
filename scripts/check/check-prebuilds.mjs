// The gate over prebuilds/: one file per target, and each of the right CPU, needing and exporting only what it may.
// `npm run check:prebuilds -- linux-x64` looks at the targets that begin so.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { digestOf, isCurrent, prebuildOf, root, targets } from '../build/zig.mjs';
import { checkElf, checkMachO } from './binaries.mjs';

const require = createRequire(import.meta.url);
const apiVersion = require('../../package.json').binary.napi_versions[0];
const { js_native_api_symbols: engineApi, node_api_symbols: nodeApi } =
  require('node-api-headers').symbols[`v${apiVersion}`];
const allowedApi = new Set([...engineApi, ...nodeApi]);
const MAX_BYTES = 700 * 1024;
const rules = {
  entries: ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
  refuses: (name) =>
    /^(napi|node_api)_/.test(name) && !allowedApi.has(name) ? `which Node-API ${apiVersion} does not have` : undefined,
};

const wanted = process.argv.slice(2);
const chosen = targets.filter(
  (target) => wanted.length === 0 || wanted.some((start) => prebuildOf(target).startsWith(join('prebuilds', start))),
);
const complaints = [];
for (const target of chosen) {
  const name = prebuildOf(target);
  const file = join(root, name);
  if (!existsSync(file)) {
    complaints.push(`${name} is missing`);
    continue;
  }
  const complain = (what) => complaints.push(`${name} ${what}`);
  if (!isCurrent(target)) complain('was not built from the sources as they are: `npm run build:prebuilds`');
  const bytes = readFileSync(file);
  if (bytes.length > MAX_BYTES) complain(`has ${bytes.length} bytes, more than ${MAX_BYTES}`);
  for (const path of [root, homedir() === '/' ? root : `${homedir()}/`]) {
    if (bytes.includes(path)) complain(`holds the build path ${path}`);
  }
  const needs =
    target.platform === 'linux' ? checkElf(file, target, rules, complain) : checkMachO(bytes, target, rules, complain);
  console.log(
    `${name.padEnd(44)} ${String(bytes.length).padStart(7)} bytes  ${needs}  sha256 ${createHash('sha256').update(bytes).digest('hex')}`,
  );
}
if (wanted.length === 0 && existsSync(join(root, 'prebuilds'))) {
  const expected = new Set(targets.flatMap((target) => [prebuildOf(target), digestOf(target)]));
  for (const folder of readdirSync(join(root, 'prebuilds'))) {
    if (expected.has(join('prebuilds', folder))) continue;
    for (const file of readdirSync(join(root, 'prebuilds', folder))) {
      if (!expected.has(join('prebuilds', folder, file)))
        complaints.push(`prebuilds/${folder}/${file} belongs to no target`);
    }
  }
}
for (const complaint of complaints) console.error(`prebuilds: ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
