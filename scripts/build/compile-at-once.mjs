/**
 * Puts functions in parentheses, which tell V8 to compile them with their file: otherwise it only looks a function over, and parses it again
 * at its first call, which takes longer than most of those calls. docs/adr/0005 has the reasons.
 */
import { parseAst } from 'rolldown/parseAst';

/** The modules on the way from a descriptor to a queue in shared memory: their functions run in nearly every process. */
const ATTACHING = [
  'codec/registry',
  'descriptor/descriptor',
  'descriptor/metadata',
  'descriptor/normalize-options',
  'descriptor/option-metadata',
  'descriptor/queue-uri',
  'descriptor/wire-form',
  'queue/adapter/wrap-queue',
  'queue/producer-role',
  'resolve/registry',
  'transports/shm/addon',
  'transports/shm/addon-files',
  'transports/shm/attachment',
  'transports/shm/entry',
  'transports/shm/open',
  'transports/shm/recovery-channel',
  'transports/shm/segment-name',
  'transports/shm/segment-schema',
  'util/built-ins',
  'util/describe-value',
  'util/json-text',
  'util/known-options',
];

/** @param nameOf name of a module of lib/ by its path */
export function compileAtOnce(nameOf) {
  const missing = new Set(ATTACHING);
  return {
    name: 'compile-at-once',
    transform(code, id, { magicString }) {
      if (!missing.delete(nameOf(id))) return null;
      for (const statement of parseAst(code, { lang: 'ts' }).body) {
        const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
        // Signatures of overloads have no place before an expression; the types are checked elsewhere.
        if (node?.type === 'TSDeclareFunction') magicString.remove(statement.start, statement.end);
        if (node?.type !== 'FunctionDeclaration') continue;
        magicString.appendRight(node.start, `const ${node.id.name} = (`).appendLeft(node.end, ');');
        // As a constant it has to stand before what uses it while the module runs.
        magicString.move(statement.start, statement.end, 0);
      }
      return { code: magicString };
    },
    buildEnd(error) {
      if (error) throw error;
      if (missing.size > 0) throw new Error(`There is no module ${[...missing].join(', ')} to compile at once.`);
    },
  };
}
