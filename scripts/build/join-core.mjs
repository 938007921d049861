/**
 * Joins what `import 'sage-queue'` and the shared-memory types need into one file, dist/core.js: Node takes a quarter of a millisecond to
 * find and read a module, and there are some forty. Each stays a module of its own, run when it is first required, and its file in dist/
 * hands out what the joined one holds, so that every entry point shares one copy. docs/adr/0005 has the reasons.
 */
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const dist = join(dirname(fileURLToPath(import.meta.url)), '../../dist');
const { resolve } = createRequire(join(dist, 'index.js'));
const ENTRY = 'index';
/** Loaded when a type that needs them is first resolved, and not before: they bring gRPC along. */
const OUTSIDE = /^(transports\/(rpc|ray)|server)\//;
const REQUIRE = /\brequire\((['"])(\.{1,2}\/[^'"]+)\1\)/g;
/** Their functions run in nearly every process, on the way from a descriptor to a queue in shared memory. */
const ATTACHING = new Set([
  ...['resolve/registry', 'descriptor/normalize-options', 'descriptor/descriptor', 'descriptor/metadata'],
  ...[
    'queue/adapter/wrap-queue',
    'transports/shm/addon',
    'transports/shm/addon-files',
    'transports/shm/segment-name',
    'transports/shm/open',
  ],
]);

/** Texts of the modules by name, the path in dist/ without its ending. */
const modules = new Map();
function add(name) {
  if (modules.has(name)) return;
  modules.set(name, '');
  const text = readFileSync(join(dist, `${name}.js`), 'utf8').replace(/^"use strict";\n/, '');
  const joined = text.replace(REQUIRE, (_all, _quote, request) => {
    const file = resolve(posix.join(dist, posix.dirname(name), request));
    const wanted = posix.relative(dist, file).replace(/\.js$/, '');
    if (OUTSIDE.test(wanted)) return `require('./${wanted}')`;
    add(wanted);
    return `core('${wanted}')`;
  });
  modules.set(name, joined);
}
add(ENTRY);
for (const name of ATTACHING) if (!modules.has(name)) throw new Error(`There is no module ${name} to compile at once.`);

/**
 * The functions of a module in parentheses, which tell V8 to compile them with the file: otherwise it only looks them over, and parses
 * them again at their first call, which takes longer than most of those calls. As expressions they have to stand first to be hoisted.
 */
function compiledAtOnce(text) {
  const { statements } = ts.createSourceFile('module.js', text, ts.ScriptTarget.ES2022);
  const functions = statements.filter(ts.isFunctionDeclaration);
  const hoisted = functions.map((node) => `const ${node.name.text} = (${text.slice(node.pos, node.end).trim()});\n`);
  const rest = statements.filter((node) => !functions.includes(node)).map((node) => text.slice(node.pos, node.end));
  return `${hoisted.join('')}${rest.join('').trimStart()}\n`;
}

const definitions = [...modules].map(([name, text]) => {
  const body = ATTACHING.has(name) ? compiledAtOnce(text) : text;
  return `  '${name}': (function (exports) {\n${body}  }),\n`;
});
writeFileSync(
  join(dist, 'core.js'),
  `'use strict';
// Joined by scripts/build/join-core.mjs from the modules of its names, each run when it is first asked for.
const modules = {
${definitions.join('')}};
const loaded = {};
function core(name) {
  if (loaded[name] === undefined) modules[name]((loaded[name] = {}));
  return loaded[name];
}
module.exports = core;
`,
);
for (const name of modules.keys()) {
  const core = `require('./${posix.relative(posix.dirname(name), 'core')}')('${name}')`;
  // The names of an entry point stand in its file: what imports a CommonJS module looks for them there.
  const exported = Object.keys(createRequire(import.meta.url)(join(dist, 'core.js'))(name)).map(
    (key) => `exports.${key} = core.${key};\n`,
  );
  writeFileSync(
    join(dist, `${name}.js`),
    name === ENTRY
      ? `'use strict';\nconst core = ${core};\n${exported.join('')}`
      : `'use strict';\nmodule.exports = ${core};\n`,
  );
}
