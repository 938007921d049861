/**
 * Mutations of the TypeScript that waits: every call, assignment and condition of the files of mutated-files.cjs is left out or fixed, one
 * at a time, and the tests below have to notice.
 *
 *   node scripts/test/ts-mutants.mjs [--short …]         its options: mutation-run.mjs
 *
 * All mutations of a file are in what jest transforms it to (mutating-transform.cjs), and the environment says which one is on. The book of
 * what noticed which is test/mutants.json.
 */
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { runMutations } from './mutation-run.mjs';

const require = createRequire(import.meta.url);
const { FILES } = require('./mutated-files.cjs');
const { findMutations } = require('./ts-mutations.cjs');

const root = resolve(import.meta.dirname, '../..');

const QUICK = [
  'test/unit/wait',
  'test/unit/lease',
  'test/unit/local',
  'test/unit/closed-while-putting',
  'test/unit/shared-signal',
  'test/unit/ack-after-close',
  'test/rpc/delivery-table',
];
const TESTS = [
  { name: 'unit', paths: QUICK, seconds: 120, shm: false },
  { name: 'unit', paths: ['test/unit/shm-'], seconds: 60, shm: true },
  { name: 'contract', paths: ['test/contract/local', 'test/contract/stub'], seconds: 240, shm: false },
  {
    name: 'shm',
    paths: ['test/shm/(aborts|leases|lease-batches|waiting-together|join|event-loop|shutdown)\\.', 'test/contract/shm'],
    seconds: 400,
    shm: true,
    slow: true,
  },
  { name: 'sequences', paths: ['test/model/memory'], seconds: 120, shm: false, slow: true },
];

/** The time limits are those of a machine with nothing else to do; SAGE_PATIENCE multiplies them. */
const PATIENCE = Number(process.env.SAGE_PATIENCE ?? 1);

/** Processes that wait for the next mutation. */
const idle = [];

function runner() {
  const child = idle.pop();
  if (child !== undefined) return child;
  return fork(join(root, 'scripts/test/ts-mutant-runner.cjs'), {
    cwd: root,
    detached: true, // with its children in a group of its own
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

/** Runs tests with one mutation on, of a test that is known to notice only that one. Undefined: they noticed nothing. */
function run({ file, number }, { name, paths, seconds }, known) {
  const child = runner();
  return new Promise((done) => {
    const end = (found) => {
      clearTimeout(timer);
      child.removeAllListeners();
      done(found && { test: name, ...found });
    };
    const timer = setTimeout(
      () => {
        process.kill(-child.pid, 'SIGKILL');
        end({ case: known ?? '', says: `not done after ${seconds * PATIENCE} s` });
      },
      seconds * PATIENCE * 1000,
    );
    child.once('exit', (code, signal) => end({ case: known ?? '', says: `ended by ${code ?? signal}` }));
    child.once('message', ({ case: test, says }) => {
      idle.push(child);
      end(says === undefined ? undefined : { case: test, says });
    });
    child.send({ file, number, paths, name: known });
  });
}

process.exitCode = await runMutations({
  book: join(root, 'test/mutants.json'),
  mutations: FILES.flatMap((file) => findMutations(file, readFileSync(join(root, file), 'utf8'))),
  workers: 2,
  drawn: 12, // some seconds each
  tests: ({ file }) => TESTS.filter((test) => test.shm === file.includes('/shm/')),
  run,
});
for (const child of idle) child.kill();
