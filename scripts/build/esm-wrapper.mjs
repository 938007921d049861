// Writes an ESM face for each CommonJS entry point, so that `import` and `require` share one copy of every class.
import { createRequire } from 'node:module';
import { writeFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';

// vitest without globals can be reached by import alone; the CommonJS side then finds what is handed over here.
const VITEST = `if (Object.hasOwn(globalThis, '__vitest_worker__')) {
  const [{ default: harness }, vitest] = await Promise.all([import('./testing/harness.js'), import('vitest').catch(() => {})]);
  if (vitest !== undefined) harness.useRunner(vitest);
}
`;

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const require = createRequire(import.meta.url);
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const target of Object.values(exports)) {
  const file = target?.require?.default;
  if (file === undefined || !existsSync(join(root, file))) continue;
  const names = Object.keys(require(join(root, file))).filter((name) => name !== '__esModule');
  const base = file.split('/').pop();
  const prologue = base === 'testing.js' ? VITEST : '';
  writeFileSync(
    join(root, file.replace(/\.js$/, '.mjs')),
    `${prologue}export { ${names.join(', ')} } from './${base}';\n`,
  );
  writeFileSync(join(root, file.replace(/\.js$/, '.d.mts')), `export * from './${base}';\n`);
}
