/**
 * Mutations of what ships. Every look, wake, announcement and recheck of the files below is taken out or turned round, one at a time,
 * and the core's own tests have to notice.
 *
 *   node scripts/test/native-mutants.mjs                 each mutation against the test that is known to notice it; what is new, or
 *                                                        no longer noticed by that one, against all
 *   node scripts/test/native-mutants.mjs --all           each mutation against all tests, in their order
 *   node scripts/test/native-mutants.mjs --only TEXT     those whose name contains TEXT
 *   node scripts/test/native-mutants.mjs --list          names them
 *   --write                                              writes down which test noticed, in native/test/mutants.json
 *   --table                                              prints that file as the table of docs/verification.md, by function
 *
 * All mutations are compiled into one build of the tests, and the environment says which one is on; so a mutation costs the time of its
 * test. A mutation that nothing may notice stands in native/test/mutants.json with the argument why (`redundant`), and so does one that
 * no test notices yet (`open`).
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findMutations, instrument } from './native-mutations.mjs';

const root = resolve(import.meta.dirname, '../..');
const copy = join(root, 'out/mutants');
const book = join(root, 'native/test/mutants.json');

const FILES = [
  'native/core/waiting/parking.h',
  'native/core/waiting/wake_protocol.h',
  'native/core/handle/item_path.h',
];

/** Quick ones first. `one`: the arguments that run only what said that it noticed. */
const TESTS = [
  { name: 'unit', command: ['unit'], seconds: 40 },
  { name: 'model', command: ['model', 'exhaustive-quick'], seconds: 120, noticed: /^noticed by "(.*)": (.*)$/m },
  {
    name: 'schedules',
    command: ['model', 'all', '2000'],
    seconds: 120,
    noticed: /^ {2}(.*): .* in schedule/m,
    whole: true,
  },
  { name: 'threads', command: ['threads'], seconds: 60, whole: true },
  { name: 'scarce', command: ['scarce'], seconds: 40 },
  // What waits for a core is not the queue's doing.
  { name: 'kill', command: ['kill', '400', '1'], seconds: 90, whole: true, ignored: /slow <= kills/ },
];

const options = process.argv.slice(2);
const has = (option) => options.includes(option);
const only = has('--only') ? options[options.indexOf('--only') + 1] : '';

/** Writes a file of the copy, unless it says that already: what did not change is not compiled again. */
function write(file, text) {
  const path = join(copy, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function build(mutations) {
  const listed = ['ls-files', 'native', 'CMakeLists.txt', 'test/history'];
  for (const file of execFileSync('git', listed, { cwd: root, encoding: 'utf8' }).trim().split('\n')) {
    const source = readFileSync(join(root, file), 'utf8');
    const mine = mutations.filter((mutation) => mutation.file === file);
    write(file, mine.length > 0 ? instrument(source, mine) : source);
  }
  write(
    'native/core/mutants.h',
    `#pragma once
#include <cstdlib>
namespace sage_mutants {
inline const int active = std::getenv("SAGE_MUTANT") == nullptr ? -1 : std::atoi(std::getenv("SAGE_MUTANT"));
inline bool is(int mutant) { return mutant == active; }
inline bool never(int mutant, bool value) { return !is(mutant) && value; }
inline bool always(int mutant, bool value) { return is(mutant) || value; }
}  // namespace sage_mutants
`,
  );
  const flags = ['-DSAGE_BUILD_ADDON=OFF', '-DSAGE_BUILD_TESTS=ON', '-DSAGE_FAILPOINTS=ON'];
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync('cmake', ['-S', copy, '-B', join(copy, 'build'), ...flags, '-DCMAKE_CXX_FLAGS=-w'], quiet);
  execFileSync('cmake', ['--build', join(copy, 'build'), '--parallel', '2'], quiet);
}

/** Runs a test with one mutation on. Undefined: it noticed nothing. */
function run(number, { name, command, seconds, noticed, ignored }, one) {
  return new Promise((done) => {
    const [program, ...given] = command;
    const child = spawn(
      join(copy, 'build/native/test', program),
      one === undefined ? given : [...given.slice(0, 1 * (program === 'model')), one],
      {
        env: { ...process.env, SAGE_MUTANT: String(number) },
        detached: true, // with its children in a group of its own
      },
    );
    let output = '';
    let late = false;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid, 'SIGKILL');
    }, seconds * 1000);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0 || ignored?.test(output)) return done(undefined);
      const found = noticed?.exec(output);
      const cases = [...output.matchAll(/^ {2}(\w+)$/gm)];
      const last = cases.at(-1)?.[1];
      const what = found?.[2] ?? /not true: (.*)/.exec(output)?.[1] ?? `ended by ${code ?? child.signalCode}`;
      done({ test: name, case: found?.[1] ?? last ?? '', says: late ? `not done after ${seconds} s` : what });
    });
  });
}

/** The first of the tests that notices. */
async function hunt(number, known) {
  if (known !== undefined) {
    const test = TESTS.find(({ name }) => name === known.test);
    const found = await run(number, test, test.whole ? undefined : known.case);
    if (found !== undefined) return found;
  }
  for (const test of TESTS) {
    const found = await run(number, test);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One row a function: how many mutations, and what notices them. */
function table(entries) {
  const rows = new Map();
  for (const [name, entry] of Object.entries(entries)) {
    const where = name.slice(0, name.indexOf(': ')).split(', ').join(' · ');
    const row = rows.get(where) ?? { count: 0, by: new Map() };
    rows.set(where, row);
    row.count++;
    const by =
      entry.test !== undefined
        ? `${entry.test}: ${entry.case}`
        : entry.open === undefined
          ? `nothing may (${entry.redundant})`
          : `NOTHING YET (${entry.open})`;
    row.by.set(by, (row.by.get(by) ?? 0) + 1);
  }
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('_', '\\_');
  const lines = ['| where | changes | noticed by |', '| --- | --- | --- |'];
  for (const [where, { count, by }] of rows) {
    const all = [...by].sort((one, other) => other[1] - one[1]).map(([what, times]) => `${what} × ${times}`);
    lines.push(`| ${cell(where)} | ${count} | ${cell(all.join('; '))} |`);
  }
  return lines.join('\n');
}

const known = JSON.parse(readFileSync(book, 'utf8'));
if (has('--table')) {
  console.log(table(known));
  process.exit(0);
}
const mutations = FILES.flatMap((file) => findMutations(file, readFileSync(join(root, file), 'utf8')));
mutations.forEach((mutation, number) => (mutation.number = number));
const names = new Set(mutations.map(({ name }) => name));
if (has('--list')) {
  for (const { name } of mutations) console.log(name);
  process.exit(0);
}
const gone = Object.keys(known).filter((name) => !names.has(name));
const chosen = mutations.filter(({ name }) => name.includes(only));
build(mutations);

const found = {};
const survivors = [];
let next = 0;
await Promise.all(
  Array.from({ length: 4 }, async () => {
    while (next < chosen.length) {
      const { name, number } = chosen[next++];
      const before = known[name];
      if (before?.redundant !== undefined || before?.open !== undefined) {
        found[name] = before;
        continue;
      }
      const start = Date.now();
      const entry = await hunt(number, has('--all') ? undefined : before);
      const seconds = ((Date.now() - start) / 1000).toFixed(1);
      if (entry === undefined) survivors.push(name);
      else found[name] = entry;
      console.log(
        `${entry === undefined ? 'SURVIVES' : `${entry.test}: ${entry.case}: ${entry.says}`}  ← ${name} (${seconds} s)`,
      );
    }
  }),
);
console.log(`${chosen.length} mutations, ${survivors.length} not noticed`);
for (const name of survivors) console.log(`  ${name}`);
for (const name of only === '' ? gone : []) console.log(`no longer in the code: ${name}`);
if (has('--write')) {
  const all = { ...known, ...found };
  const sorted = mutations.filter(({ name }) => all[name] !== undefined).map(({ name }) => [name, all[name]]);
  writeFileSync(book, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
}
process.exit(survivors.length > 0 || (only === '' && !has('--write') && gone.length > 0) ? 1 : 0);
