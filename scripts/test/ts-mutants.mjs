/**
 * Mutations of the TypeScript that waits: every call, assignment and condition of the files of mutated-files.cjs is left out or fixed, one
 * at a time, and the tests below have to notice.
 *
 *   node scripts/test/ts-mutants.mjs [--short …]         its options: mutation-run.mjs
 *
 * All mutations of a file are in what jest transforms it to (mutating-transform.cjs), and the environment says which one is on. The book of
 * what noticed which is test/mutants.json.
 */
import { spawn } from 'node:child_process';
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

/** Runs tests with one mutation on. Undefined: they noticed nothing. */
function run({ file, number }, { name, paths, seconds }, known) {
  // Of a test that is known to notice, only that one.
  const one = known === undefined ? [] : ['-t', known.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')];
  const jest = [
    join(root, 'node_modules/jest/bin/jest.js'),
    '--config',
    'scripts/test/mutants.jest.config.cjs',
    '-i',
    '--bail',
  ];
  return new Promise((done) => {
    const child = spawn(process.execPath, [...jest, ...one, ...paths], {
      cwd: root,
      env: { ...process.env, SAGE_MUTANT_FILE: file, SAGE_MUTANT: String(number) },
      detached: true, // with its children in a group of its own
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    let late = false;
    child.stderr.on('data', (text) => (output += text));
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid, 'SIGKILL');
    }, seconds * 1000);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (late) return done({ test: name, case: known ?? '', says: `not done after ${seconds} s` });
      if (code === 0) return done(undefined);
      const [, test, says] = /^ {2}● (?!Console)(.*)\n\s*(.*)/m.exec(output) ?? [];
      const what = says ?? `ended by ${code ?? child.signalCode}`;
      done({ test: name, case: test?.replaceAll(' › ', ' ') ?? '', says: what.slice(0, 100) });
    });
  });
}

process.exitCode = await runMutations({
  book: join(root, 'test/mutants.json'),
  mutations: FILES.flatMap((file) => findMutations(file, readFileSync(join(root, file), 'utf8'))),
  workers: 2,
  tests: ({ file }) => TESTS.filter((test) => test.shm === file.includes('/shm/')),
  run,
});
