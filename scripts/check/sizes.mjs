/**
 * A file has at most 400 lines, or says in its head why it has more, in a line "Past 400 lines: REASON". A function has at most 80. Whatever
 * git tracks counts, in each language; a group of tests is a list, and no function.
 *
 *   node scripts/check/sizes.mjs [FILE…]         all files, or these
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import ts from 'typescript';

const MOST_LINES = 400;
const MOST_IN_A_FUNCTION = 80;
/** Lines in which a reason is looked for. */
const HEAD = 30;
const REASON = /Past 400 lines: \w/;

const root = resolve(import.meta.dirname, '../..');

const isOf = (call, names) =>
  ts.isIdentifier(call)
    ? names.includes(call.text)
    : (ts.isCallExpression(call) || ts.isPropertyAccessExpression(call)) && isOf(call.expression, names);

/** Whether the function's own statements declare tests. */
const isGroupOfTests = (node) =>
  ts.isBlock(node.body) &&
  node.body.statements.some(
    (one) =>
      ts.isExpressionStatement(one) &&
      ts.isCallExpression(one.expression) &&
      isOf(one.expression, ['test', 'describe']),
  );

/** { name, first, last } of each function, lines counted from 1. */
function functionsOfScript(path, text) {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position) => tree.getLineAndCharacterOfPosition(position).line + 1;
  const found = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body !== undefined && !isGroupOfTests(node)) {
      const name = (node.name ?? node.parent.name)?.getText() ?? 'a function without a name';
      found.push({ name, first: lineOf(node.getStart()), last: lineOf(node.getEnd()) });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** Blanks out what is no code, line by line; braces in it would be counted. */
const codeOfC = (text) =>
  text
    .replace(/(?<=\d)'(?=\d)/g, ' ')
    .replace(/R"(\w*)\([^]*?\)\1"|\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+'/g, (found) =>
      found.replace(/[^\n]/g, ' '),
    )
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (found) => found.replace(/[^\n]/g, ' '));

/** What stands before a brace opens a scope, gives values, or is a function's. */
function isFunctionHead(head) {
  const bare = head.replace(/^\s*template\s*<[^]*?>\s*(?=\w)/, '').trim();
  if (/^(?:inline\s+)?(?:namespace|extern)\b/.test(bare)) return false;
  if (/^(?:typedef\s+)?(?:class|struct|union|enum)\b/.test(bare)) return bare.endsWith(')');
  return bare.includes('(') && !bare.endsWith('=');
}

function functionsOfC(_path, text) {
  const code = codeOfC(text);
  const found = [];
  /** Blocks that are open; those of a function are not looked into. */
  const scopes = [];
  let [line, head, inFunction, inParentheses] = [1, { text: '', line: 1 }, 0, 0];
  for (const character of code) {
    if (character === '\n') line++;
    if (inFunction > 0) {
      inFunction += character === '{' ? 1 : character === '}' ? -1 : 0;
      if (inFunction === 0) found.at(-1).last = line;
    } else if (inParentheses > 0 && character !== ')' && character !== '(') {
      head.text += character; // braces of a default value with it
      continue;
    } else if (character === '{') {
      if (isFunctionHead(head.text)) {
        const name = /(~?[\w:]+)\s*\(/.exec(head.text)?.[1] ?? 'a function without a name';
        found.push({ name, first: head.line, last: line });
        inFunction = 1;
      } else scopes.push(line);
    } else if (character === '}') scopes.pop();
    else if (character !== ';') {
      if (head.text === '' && /\s/.test(character)) continue;
      if (head.text === '') head.line = line;
      head.text += character;
      inParentheses += character === '(' ? 1 : character === ')' ? -1 : 0;
      continue;
    }
    head = { text: '', line };
  }
  return found;
}

const PYTHON = `import ast, json, sys
print(json.dumps([
    [{"name": one.name, "first": one.lineno, "last": one.end_lineno}
     for one in ast.walk(ast.parse(open(path).read())) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for path in sys.argv[1:]]))`;

/** Of all files at once. */
function functionsOfPython(paths) {
  if (paths.length === 0) return [];
  const { stdout, status, stderr, error } = spawnSync('python3', ['-c', PYTHON, ...paths], { cwd: root });
  if (error?.code === 'ENOENT') {
    console.log('python3 is not installed: the functions of Python were not measured');
    return [];
  }
  if (status !== 0) throw new Error(`python3 could not read its files: ${stderr}`);
  return JSON.parse(stdout);
}

const SCRIPT = ['.ts', '.mts', '.cts', '.mjs', '.cjs', '.js'];
const C = ['.cc', '.c', '.h', '.hpp'];
const measured = [...SCRIPT, ...C, '.py', '.pyi', '.sh'];

function tracked() {
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, maxBuffer: 1 << 26 }).stdout.toString();
  return listed.split('\0').filter((path) => path !== '');
}

/** @returns the complaints about these files, each as "file:line: what" */
export function complaints(paths) {
  const files = paths.filter((path) => measured.includes(extname(path)));
  const found = [];
  const measure = (path, functions) => {
    for (const { name, first, last } of functions) {
      const lines = last - first + 1;
      if (lines > MOST_IN_A_FUNCTION)
        found.push(`${path}:${first}: ${name} has ${lines} lines; a function has at most ${MOST_IN_A_FUNCTION}`);
    }
  };
  for (const path of files) {
    const text = readFileSync(resolve(root, path), 'utf8');
    const lines = text.split('\n');
    if (lines.length - 1 > MOST_LINES && !REASON.test(lines.slice(0, HEAD).join('\n')))
      found.push(
        `${path}:1: ${lines.length - 1} lines; split it, or say in its head why not: "Past ${MOST_LINES} lines: …"`,
      );
    if (SCRIPT.includes(extname(path))) measure(path, functionsOfScript(path, text));
    if (C.includes(extname(path))) measure(path, functionsOfC(path, text));
  }
  const python = files.filter((path) => extname(path) === '.py');
  functionsOfPython(python).forEach((functions, index) => measure(python[index], functions));
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const given = process.argv.slice(2);
  const found = complaints(given.length > 0 ? given : tracked());
  for (const one of found) console.log(one);
  if (found.length > 0) process.exitCode = 1;
}
