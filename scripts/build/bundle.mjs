/**
 * Bundles lib/ into dist/: one CommonJS file per entry point, chunks for what they share, source maps, and an ESM face beside each entry
 * point of the package, so that `import` and `require` share one copy of every class. docs/adr/0005 has the reasons.
 *
 * Entry points are those of package.json (`exports`, `bin`); dist/NAME.js is made of lib/NAME.ts. What all of them need to start lies in
 * dist/core.js; a relative `require()` in the sources stays one, and what it asks for gets a chunk that is loaded then and not before.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { compileAtOnce } from './compile-at-once.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const lib = join(root, 'lib');
const dist = join(root, 'dist');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Not to be imported by users, but by path: the install script, the forked processes of the demo, the ESM face of `testing`. */
const BY_PATH = ['transports/shm/addon-files', 'cli/demo/role', 'testing/harness'];

const nameOf = (file) => posix.relative('dist', posix.normalize(file)).replace(/\.js$/, '');
const packageEntries = Object.values(manifest.exports)
  .flatMap((target) => target?.require?.default ?? [])
  .map(nameOf);
const entries = [...packageEntries, ...Object.values(manifest.bin).map(nameOf), ...BY_PATH];

/** vitest without globals can be reached by import alone; the CommonJS side then finds what is handed over here. */
const PROLOGUES = {
  testing: `if (Object.hasOwn(globalThis, '__vitest_worker__')) {
  const [{ default: harness }, vitest] = await Promise.all([import('./testing/harness.js'), import('vitest').catch(() => {})]);
  if (vitest !== undefined) harness.useRunner(vitest);
}
`,
};

const sourceName = (id) => relative(lib, id).replaceAll('\\', '/').replace(/\.ts$/, '');

/** Keeps a relative `require()` of the sources in place, and makes what it loads a chunk in dist/. */
function loadedWhenRequired() {
  const chunks = new Map(); // name of the module → reference of its chunk
  return {
    name: 'loaded-when-required',
    async resolveId(request, importer, { kind }) {
      if (kind !== 'require-call' || !request.startsWith('.')) return null;
      const { id } = await this.resolve(request, importer, { skipSelf: true });
      const name = sourceName(id);
      if (!entries.includes(name) && !chunks.has(name)) {
        chunks.set(name, this.emitFile({ type: 'chunk', id, fileName: `${name.replaceAll('/', '-')}.js` }));
      }
      return { id: `when-required:${name}`, external: true };
    },
    renderChunk(code, { fileName }, _options, { magicString }) {
      for (const { 0: call, 1: name, index } of code.matchAll(/require\("when-required:([^"]+)"\)/g)) {
        const file = entries.includes(name) ? `${name}.js` : this.getFileName(chunks.get(name));
        const path = posix.relative(posix.dirname(fileName), file);
        magicString.overwrite(index, index + call.length, `require("${path.startsWith('.') ? path : `./${path}`}")`);
      }
      return magicString.hasChanged() ? { code: magicString } : null;
    },
  };
}

/** What `index` imports, directly or not: the modules of dist/core.js. */
const core = new Set();
const findCore = {
  name: 'find-core',
  buildEnd() {
    const add = (id) => {
      const module = this.getModuleInfo(id);
      if (core.has(id) || module === null || !id.startsWith(lib)) return;
      core.add(id);
      module.importedIds.forEach(add);
    };
    add(join(lib, 'index.ts'));
  },
};

const bundle = await rolldown({
  input: Object.fromEntries(entries.map((name) => [name, join(lib, `${name}.ts`)])),
  platform: 'node',
  tsconfig: join(root, 'tsconfig.build.json'),
  external: [/^node:/, /^@grpc\//, 'protobufjs', /^@jest\//],
  preserveEntrySignatures: 'strict',
  experimental: { nativeMagicString: true },
  plugins: [loadedWhenRequired(), findCore, compileAtOnce(sourceName)],
});
rmSync(dist, { recursive: true, force: true });
const { output } = await bundle.write({
  dir: dist,
  format: 'cjs',
  exports: 'named',
  sourcemap: true,
  entryFileNames: '[name].js',
  chunkFileNames: ({ name }) => (name === 'core' ? 'core.js' : `shared-${name}.js`),
  codeSplitting: { groups: [{ name: 'core', test: (id) => core.has(id) }] },
});
await bundle.close();

for (const { type, isEntry, fileName, exports } of output) {
  const name = fileName.replace(/\.js$/, '');
  if (type !== 'chunk' || !isEntry || !packageEntries.includes(name)) continue;
  const base = posix.basename(fileName);
  const face = `${PROLOGUES[name] ?? ''}export { ${exports.join(', ')} } from './${base}';\n`;
  writeFileSync(join(dist, `${name}.mjs`), face);
  writeFileSync(join(dist, `${name}.d.mts`), `export * from './${base}';\n`);
}
