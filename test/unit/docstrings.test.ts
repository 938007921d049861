/** Every exported symbol, and every public member of one, says what it is: the reference and editors show nothing else. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

const lib = join(__dirname, '../../lib');
/** Those of package.json, so that a new one is looked at too. */
const { exports: entryPoints } = JSON.parse(readFileSync(join(lib, '../package.json'), 'utf8')) as {
  exports: Record<string, { require?: { default: string } }>;
};
const entries = Object.values(entryPoints).flatMap(({ require: way }) =>
  way === undefined ? [] : [join(lib, `${basename(way.default, '.js')}.ts`)],
);

function undocumented(): { missing: string[]; seen: number } {
  const program = ts.createProgram(entries, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    strict: true,
    noEmit: true,
  });
  const checker = program.getTypeChecker();
  const missing = new Set<string>();
  const seen = new Set<ts.Symbol>();
  const ours = (symbol: ts.Symbol): boolean =>
    symbol.declarations?.some((declaration) => declaration.getSourceFile().fileName.startsWith(lib)) === true;
  const isPublic = (declaration: ts.Declaration): boolean =>
    (ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) === 0 &&
    !ts.isPrivateIdentifier((declaration as ts.NamedDeclaration).name ?? declaration) &&
    !ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
  const look = (symbol: ts.Symbol, name: string): void => {
    if (seen.has(symbol)) return;
    seen.add(symbol);
    if (symbol.getDocumentationComment(checker).length === 0 && symbol.getJsDocTags(checker).length === 0)
      missing.add(name);
  };
  for (const file of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (!ours(symbol)) continue;
      look(symbol, exported.name);
      for (const members of [symbol.members, symbol.exports]) {
        for (const [key, member] of members ?? []) {
          const declaration = member.declarations?.[0];
          if (declaration === undefined || !isPublic(declaration)) continue;
          if (ts.isTypeParameterDeclaration(declaration) || ts.isConstructorDeclaration(declaration)) continue;
          if (/^__|^prototype$/.test(String(key)) || !ours(member)) continue;
          look(member, `${exported.name}.${String(member.name)}`);
        }
      }
    }
  }
  return { missing: [...missing].sort(), seen: seen.size };
}

test('every entry point is looked at', () => {
  expect(entries.length).toBeGreaterThan(5);
});

test('every exported symbol and member has a docstring', () => {
  const { missing, seen } = undocumented();
  expect(seen).toBeGreaterThan(200);
  expect(missing).toEqual([]);
}, 120_000);
