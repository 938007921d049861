/**
 * Mutations of what ships. Every look, wake, announcement and recheck of the files below is taken out or turned round, one at a time,
 * and the core's own tests have to notice.
 *
 *   node scripts/test/native-mutants.mjs [--short …]     its options: mutation-run.mjs
 *
 * All mutations are compiled into one build of the tests, and the environment says which one is on; so a mutation costs the time of its
 * test. The book of what noticed which is native/test/mutants.json.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { runMutations } from './mutation-run.mjs';
import { findMutations, instrument } from './native-mutations.mjs';

const root = resolve(import.meta.dirname, '../..');
const copy = join(root, 'out/mutants');

const FILES = [
  'native/core/waiting/waiters.h',
  'native/core/waiting/wake_protocol.h',
  'native/core/handle/item_path.h',
  'native/core/handle/membership.cc',
  'native/core/handle/ringing.cc',
  'native/core/handle/queue.cc',
  'native/core/handle/queue.h',
  'native/core/waiting/watcher.cc',
  'native/core/waiting/doorbell.cc',
  'native/core/segment/segment.cc',
];

/** What the model runs; the rest is the process around it. */
const isTemplate = ({ file }) => file.endsWith('item_path.h') || /waiting\/(waiters|wake_protocol)\.h$/.test(file);

/** The looks and wakes whose loss a waiter would not survive, each of them in every short form. */
const ALWAYS = [
  'publish: items_appeared() [left out]',
  'publish: algorithm_.may_reveal_space() [never]',
  'ack: waking_.items_taken(count) [left out]',
  'ack_first: waking_.items_taken(1) [left out]',
  'lease: waking_.space_appeared() [left out]',
  'claim_ended_empty: waking_.space_appeared() [left out]',
  'claim_ended_empty: items_appeared() [left out]',
  'requeue: items_appeared() [left out]',
  'take: control.requeued_hint.load(std::memory_order_acquire) != hint [never]',
  'space_for_waiters: shut [never]',
  'gathers_space: follow_up == FollowUp::kDue || (follow_up == FollowUp::kNew && first) [always]',
  'pass_on: worth(direction) [never]',
  'tried: pass_on(direction, true); [true inverted]',
];

/** The time limits are those of a machine with nothing else to do; SAGE_PATIENCE multiplies them. */
const PATIENCE = Number(process.env.SAGE_PATIENCE ?? 1);

/** Quick ones first; `whole` are those that know no single case. `templates` are for what the model runs only, `outside` for the rest. */
const TESTS = [
  { name: 'unit', command: ['unit'], seconds: 40 },
  { name: 'members', command: ['members'], seconds: 40, outside: true },
  { name: 'watching', command: ['watching'], seconds: 40, outside: true },
  { name: 'doorbells', command: ['doorbells'], seconds: 40, outside: true },
  { name: 'segments', command: ['segments'], seconds: 40, outside: true },
  { name: 'between_calls', command: ['between_calls'], seconds: 40, outside: true },
  { name: 'life', command: ['life'], seconds: 60, outside: true },
  {
    name: 'model',
    command: ['model', 'exhaustive-quick'],
    seconds: 120,
    noticed: /^noticed by "(.*)": (.*)$/m,
    templates: true,
  },
  {
    name: 'schedules',
    templates: true,
    command: ['model', 'all', '2000'],
    seconds: 120,
    noticed: /^ {2}(.*): .* in schedule/m,
    whole: true,
  },
  { name: 'scarce', command: ['scarce'], seconds: 40 },
  { name: 'ends', command: ['ends'], seconds: 60, outside: true },
  { name: 'forked', command: ['forked'], seconds: 40, outside: true },
  { name: 'c_items', command: ['c_items'], seconds: 40, outside: true, whole: true },
  { name: 'c_threads', command: ['c_threads'], seconds: 40, outside: true, whole: true },
  { name: 'c_forks', command: ['c_forks'], seconds: 40, outside: true, whole: true },
  { name: 'threads', command: ['threads'], seconds: 60, whole: true, slow: true },
  { name: 'kill', command: ['kill', '400', '1'], seconds: 90, whole: true, slow: true },
];

const testsOf = (mutation) => TESTS.filter((test) => !(isTemplate(mutation) ? test.outside : test.templates));

/** Writes a file of the copy, unless it says that already: what did not change is not compiled again. */
function write(file, text) {
  const path = join(copy, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function build(mutations, chosen) {
  // What the tests' own list of programs takes from elsewhere, too.
  const programs = readFileSync(join(root, 'native/test/CMakeLists.txt'), 'utf8');
  const elsewhere = [...programs.matchAll(/\$\{PROJECT_SOURCE_DIR\}\/([\w./-]+)/g)].map(([, path]) => dirname(path));
  const listed = ['ls-files', '-co', '--exclude-standard', 'native', 'CMakeLists.txt', 'package.json', ...elsewhere];
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
  const targets = new Set(chosen.flatMap((mutation) => testsOf(mutation).map(({ command }) => command[0])));
  if (targets.size === 0) return;
  execFileSync('cmake', ['--build', join(copy, 'build'), '--parallel', '2', '--target', ...targets], quiet);
}

/** Runs a test with one mutation on. Undefined: it noticed nothing. */
function run({ number }, { name, command, seconds, noticed, whole }, known) {
  const one = whole ? undefined : known;
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
    const timer = setTimeout(
      () => {
        late = true;
        process.kill(-child.pid, 'SIGKILL');
      },
      seconds * PATIENCE * 1000,
    );
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) return done(undefined);
      const found = noticed?.exec(output);
      const cases = [...output.matchAll(/^ {2}(\w+)$/gm)];
      const last = cases.at(-1)?.[1];
      const what = found?.[2] ?? /not true: (.*)/.exec(output)?.[1] ?? `ended by ${code ?? child.signalCode}`;
      done({
        test: name,
        case: found?.[1] ?? last ?? '',
        says: late ? `not done after ${seconds * PATIENCE} s` : what,
      });
    });
  });
}

process.exitCode = await runMutations({
  book: join(root, 'native/test/mutants.json'),
  // Each file has numbers of its own: a change of one is no change of the others, which are not compiled again.
  mutations: FILES.flatMap((file, place) =>
    findMutations(file, readFileSync(join(root, file), 'utf8')).map((mutation, index) => ({
      ...mutation,
      number: place * 1000 + index,
    })),
  ),
  always: ALWAYS,
  build,
  tests: testsOf,
  run,
});
