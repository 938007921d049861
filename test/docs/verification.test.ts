/**
 * docs/verification.md names, for each promise, the command that tries it: that command has to exist, and to run something. For each fault
 * it names the tests that hold it: they have to be there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { read, ROOT } from './pages';

const page = read('docs/verification.md');
const json = (path: string): Record<string, never> => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as never;
const { scripts } = json('package.json') as unknown as { scripts: Record<string, string> };
const book = json('native/test/mutants.json') as unknown as Record<
  string,
  { test?: string; case: string; says: string }
>;

/** The cells of a table's rows, of the first table behind `text` whose head begins so. */
function rows(head: string, text = ''): string[][] {
  const lines = page.slice(page.indexOf(text)).split('\n');
  const from = lines.findIndex((line) => line.replace(/ +/g, ' ').startsWith(`| ${head} |`)) + 2;
  const to = lines.findIndex((line, index) => index >= from && !line.startsWith('|'));
  return lines.slice(from, to).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

const files = (folder: string, recursive: boolean): string[] =>
  readdirSync(join(ROOT, folder), { recursive, encoding: 'utf8' }).map((file) => `${folder}/${file}`);
const source = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const cases = files('native/test', false)
  .filter((file) => file.endsWith('.cc'))
  .map(source)
  .join('\n');
const programs = source('native/test/CMakeLists.txt');
const model = source('native/test/model.cc');
const tests = files('test', true).filter((file) => file.endsWith('.test.ts'));

/** What is wrong with a command; undefined: nothing. */
function fault(command: string): string | undefined {
  const [program, ...rest] = command.split(' ');
  if (program === 'npm') return rest[1]! in scripts ? undefined : 'no such script';
  if (program === 'npx') {
    const missing = rest.slice(1).filter((path) => !tests.some((test) => test.startsWith(path)));
    return missing.length === 0 ? undefined : `no test in ${missing.join(', ')}`;
  }
  const [name, argument] = program === '…' ? rest : [program!.split('/').at(-1)!, rest[0]];
  if (!programs.includes(`add_executable(${name} `)) return `no program ${name}`;
  if (argument === undefined) return undefined;
  if (name === 'model') return model.includes(`mode == "${argument}"`) ? undefined : `model cannot ${argument}`;
  return new RegExp(`TEST\\(\\w*${argument}\\w*\\)`).test(cases) ? undefined : `no case ${argument}`;
}

const promises = rows('promise');

test('each promise has a way, a figure and a date', () => {
  expect(promises.length).toBeGreaterThan(20);
  for (const cells of promises) expect(cells.map((cell) => cell.length > 0)).toEqual(Array(5).fill(true));
});

test.each(
  promises.flatMap(([promise, , commands]) =>
    [...commands!.matchAll(/`([^`]+)`/g)].map(([, command]) => [command!, promise!]),
  ),
)('%s: %s', (command) => expect(fault(command)).toBeUndefined());

test('what is no command is found', () => {
  const wrong = ['npm run nothing', 'npx jest test/shm/nothing', '… nothing', '… model nothing', '… unit no_such_case'];
  for (const command of wrong) expect([command, fault(command)]).toEqual([command, expect.any(String)]);
});

test.each(rows('deleted'))('%s is noticed: %s', (_, what, by) => {
  const [name] = Object.keys(book).filter((key) => `\`${key.slice(key.indexOf(', ') + 2)}\`` === what);
  const { test, case: found, says } = book[name!]!;
  expect(by!.replaceAll('\\', '')).toBe(`${test}: ${found}`);
  expect(says).not.toMatch(/^not done/);
});

const faults = rows('fault');
const held = faults.flatMap(([, by]) =>
  [...by!.matchAll(/`([^`]+)`: (.+?)(?:; (?=`)|$)/g)].map(([, file, names]) => [file!, names!]),
);
/** Whether the file has a test of that name, as it stands in the source. */
const hasTest = (file: string, name: string): boolean =>
  [`${file}.test.ts`, `${file}.ts`, file].some((path) => existsSync(join(ROOT, path)) && source(path).includes(name));

test('the book of the TypeScript is the one of today', () => {
  const printed = execFileSync(process.execPath, ['scripts/test/ts-mutants.mjs', '--table'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const [, , ...lines] = printed.trim().split('\n');
  expect(lines.length).toBeGreaterThan(50);
  const there = rows('where', '`node scripts/test/ts-mutants.mjs --table`').map((cells) => cells.join(' | '));
  expect(there).toEqual(lines.map((line) => line.slice(2, -2).replace(/ +/g, ' ')));
});

test('each fault has a test, and something that was taken out', () => {
  expect(faults.length).toBeGreaterThan(15);
  for (const [fault, by, out] of faults) expect([fault, by, out]).toEqual([fault, expect.stringMatching(/^`.+`: ./), expect.stringMatching(/./)]); // prettier-ignore
});

test.each(held.flatMap(([file, names]) => names!.split('; ').map((name) => [file, name.replaceAll('\\|', '|')])))(
  '%s: %s',
  (file, name) => expect(hasTest(file!, name!)).toBe(true),
);

test('a test that is not there is found', () => {
  expect(hasTest('test/shm/trust', 'users apart')).toBe(true);
  expect(hasTest('test/shm/trust', 'users together')).toBe(false);
  expect(hasTest('test/shm/nothing', 'users apart')).toBe(false);
});
