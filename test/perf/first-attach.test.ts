/**
 * What the first attach of a process has to compile, counted rather than timed: V8 compiles a function at its first call, which takes
 * longer than most of those calls. docs/adr/0005 has the reasons.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getSageQueue } from '../../lib';
import type { NativeQueue } from '../../lib';

/** Three more than there are: constructors of the classes on the way, which cannot be compiled before they run. */
const MOST_COMPILED = 22;

const program = `
const { resolveDescriptor } = require('sage-queue');
function begins() {}
function ends() {}
begins();
const queue = resolveDescriptor(process.argv[1], { create: 'never' });
ends();
queue.closeSync();
`;

let directory: string;
let queue: NativeQueue;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sage-queue-first-attach-'));
  queue = getSageQueue(`first-attach-${process.pid}`);
});
afterAll(() => {
  queue.closeSync();
  rmSync(directory, { recursive: true });
});

test('most functions on the way to a queue are compiled with the import', () => {
  const log = join(directory, 'functions');
  const flags = ['--log-function-events', '--no-logfile-per-isolate', `--logfile=${log}`];
  const argument = JSON.stringify(queue.descriptor);
  execFileSync(process.execPath, [...flags, '-e', program, argument], { cwd: join(__dirname, '../..') });

  const text = readFileSync(log, 'utf8');
  const script = /^script-details,(\d+),.*dist\/core\.js,/m.exec(text)![1]!;
  // function,EVENT,SCRIPT,START,END,MS,TIME,NAME
  const events = text
    .split('\n')
    .filter((line) => line.startsWith('function,'))
    .map((line) => line.split(','));
  // Compiled when it is called for the first time; not every V8 writes down that call itself.
  const firstRun = (name: string): number => events.findIndex((at) => at[1] === 'interpreter' && at[7] === name);
  const compiled = (from: number, to: number): string[] =>
    events
      .slice(from, to)
      .filter(([, event, id]) => event === 'interpreter' && id === script)
      .map((at) => at[7]!);

  const [begin, end] = [firstRun('begins'), firstRun('ends')];
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  expect(compiled(0, begin)).toContain('resolveDescriptor');
  const during = compiled(begin, end);
  // Its constructor cannot be compiled before it runs: an empty list would be one that was not read.
  expect(during).toContain('ShmQueue');
  expect(during.length).toBeLessThanOrEqual(MOST_COMPILED);
});
