// Writes an ESM face for each CommonJS entry point, so that `import` and `require` share one copy of every class.
import { createRequire } from 'node:module';
import { writeFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const target of Object.values(exports)) {
  const file = target?.require?.default;
  if (file === undefined || !existsSync(join(root, file))) continue;
  const names = Object.keys(require(join(root, file))).filter((name) => name !== '__esModule');
  const base = file.split('/').pop();
  writeFileSync(join(root, file.replace(/\.js$/, '.mjs')), `export { ${names.join(', ')} } from './${base}';\n`);
  writeFileSync(join(root, file.replace(/\.js$/, '.d.mts')), `export * from './${base}';\n`);
}
