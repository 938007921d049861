/**
 * The eslint rule that keeps the rooms of lib/ in their order: a room imports what stands below it, no transport imports another, and no files
 * import each other in a circle. Types count as much as code: who needs the other's types knows it.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const lib = join(dirname(fileURLToPath(import.meta.url)), '../../lib');

/** Each room, and those it may import. docs/architecture.md says what each is for. */
const base = ['errors', 'util'];
const shapes = [...base, 'wait', 'descriptor', 'codec', 'queue'];
const transports = ['transports/memory', 'transports/shm', 'transports/rpc', 'transports/ray'];
const whole = [...shapes, ...transports, 'resolve'];
const rooms = {
  errors: [],
  util: ['errors'],
  'package-root': [],
  wait: base,
  descriptor: base,
  codec: [...base, 'descriptor'],
  queue: [...base, 'wait', 'descriptor', 'codec'],
  ...Object.fromEntries(transports.map((room) => [room, [...shapes, 'package-root']])),
  resolve: [...shapes, ...transports],
  server: whole,
  work: [...shapes, 'resolve'],
  metrics: whole,
  testing: [...shapes, 'transports/memory'],
  cli: [...whole, 'package-root', 'index', 'rpc-entry', 'ray-entry', 'work', 'metrics'],
};
/** Entry points of the package: faces of rooms. */
const entries = {
  index: [...shapes, 'resolve', 'transports/shm'],
  rpc: [...shapes, 'server', 'transports/rpc'],
  ray: [...shapes, 'transports/ray'],
  testing: [...shapes, 'testing'],
  work: [...shapes, 'work'],
  metrics: [...shapes, 'metrics'],
};

/** @returns the room of a file in lib/, and what it may import */
function roomOf(path) {
  const parts = path.split('/');
  if (parts.length > 1) {
    const room = parts[0] === 'transports' ? parts.slice(0, 2).join('/') : parts[0];
    return { room, allowed: rooms[room] };
  }
  const name = parts[0].replace(/\.ts$/, '');
  if (Object.hasOwn(entries, name) && name !== 'index') return { room: `${name}-entry`, allowed: entries[name] };
  return { room: name, allowed: entries[name] ?? rooms[name] };
}

/** @returns the file in lib/ that `request` names from `path`, or undefined for what lies elsewhere */
function resolve(path, request) {
  if (!request.startsWith('.')) return undefined;
  const name = posix.normalize(posix.join(posix.dirname(path), request));
  for (const file of [`${name}.ts`, `${name}/index.ts`]) {
    if (!file.startsWith('..') && existsSync(join(lib, file))) return file;
  }
  return undefined;
}

const REQUEST = /\b(?:from|import|require)\s*\(?\s*'(\.[^']*)'/g;
/** What each file imports, as of its last change. */
const known = new Map();
function importsOf(path) {
  const { mtimeMs } = statSync(join(lib, path));
  const entry = known.get(path);
  if (entry?.mtimeMs === mtimeMs) return entry.imports;
  const text = readFileSync(join(lib, path), 'utf8');
  const imports = [...text.matchAll(REQUEST)].map(([, request]) => resolve(path, request)).filter(Boolean);
  known.set(path, { mtimeMs, imports });
  return imports;
}

/** @returns the way from one file back to another along imports, or undefined */
function way(from, to, seen = new Set()) {
  if (from === to) return [from];
  seen.add(from);
  for (const next of importsOf(from)) {
    if (seen.has(next)) continue;
    const rest = way(next, to, seen);
    if (rest !== undefined) return [from, ...rest];
  }
  return undefined;
}

const direction = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      unknown:
        "'{{room}}' is no room of lib/: give it a place in scripts/check/rooms.mjs and a charter in docs/architecture.md.",
      direction: "'{{room}}' may not import '{{other}}', only: {{allowed}}.",
      circle: 'These files import each other in a circle: {{circle}}.',
    },
  },
  create(context) {
    const path = relative(lib, context.filename).split(sep).join('/');
    if (path.startsWith('..')) return {};
    const { room, allowed } = roomOf(path);
    const check = (node) => {
      if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
      const target = resolve(path, node.value);
      if (target === undefined) return;
      const { room: other } = roomOf(target);
      if (other !== room && !allowed.includes(other))
        context.report({ node, messageId: 'direction', data: { room, other, allowed: allowed.join(', ') } });
      const back = way(target, path);
      if (back !== undefined)
        context.report({ node, messageId: 'circle', data: { circle: [path, ...back].join(' → ') } });
    };
    return {
      Program(node) {
        if (allowed === undefined) context.report({ node, messageId: 'unknown', data: { room } });
      },
      ...(allowed !== undefined && {
        ImportDeclaration: (node) => check(node.source),
        ExportNamedDeclaration: (node) => check(node.source),
        ExportAllDeclaration: (node) => check(node.source),
        ImportExpression: (node) => check(node.source),
        TSImportType: (node) => check(node.argument.literal ?? node.source),
        CallExpression: (node) => node.callee.name === 'require' && check(node.arguments[0]),
      }),
    };
  },
};

export default { rules: { direction } };
