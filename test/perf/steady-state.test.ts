/**
 * What a message costs where nobody waits, counted rather than timed: instructions, system calls and allocations. A count that grows past
 * its limit has a cause in the code; the limits are the counts of today with a tolerance, to be lowered when the code gets better.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '../..');
const steady = join(root, 'build/bench/native/bench/steady');
const nodeProgram = join(__dirname, 'steady.cjs');
/** Of the instructions, as GCC 12 made them for x64 before queues of several containers. Another compiler may need other figures. */
const TOLERANCE = 1.03;

/** Tells whether the tools are there. Without them: one line, and a failure where every check has to run. */
function have(...tools: string[]): boolean {
  const missing = tools.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0);
  if (missing.length === 0) return true;
  const line = `steady-state: not checked, ${missing.join(' and ')} missing (apt-get install ${missing.join(' ')})`;
  if (process.env.CI === 'true') throw new Error(line);
  process.stderr.write(`${line}\n`);
  return false;
}

const build = (): void => {
  const quiet = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  execFileSync('cmake', ['-S', '.', '-B', 'build/bench', '-DSAGE_BUILD_ADDON=OFF', '-DSAGE_BUILD_BENCH=ON'], quiet);
  execFileSync('cmake', ['--build', 'build/bench', '--target', 'steady'], quiet);
};

/** Instructions per message inside the functions of that name. */
function instructions(name: string, rounds: number, batch: number): number {
  const result = spawnSync(
    'valgrind',
    [
      ...['--tool=callgrind', '--callgrind-out-file=/dev/null', `--toggle-collect=${name}`],
      ...[steady, String(rounds), String(batch)],
    ],
    { encoding: 'utf8' },
  );
  const collected = /Collected : (\d+)/.exec(result.stderr)?.[1];
  if (result.status !== 0 || collected === undefined) throw new Error(`callgrind failed:\n${result.stderr}`);
  return Number(collected) / (JSON.parse(result.stdout) as { messages: number }).messages;
}

/** System calls of a whole program. */
function systemCalls(directory: string, command: string[]): number {
  const file = join(directory, 'strace');
  execFileSync('strace', ['-f', '-c', '-o', file, ...command], { stdio: ['ignore', 'ignore', 'inherit'] });
  // "100.00    0.000695           7        92         2 total"
  const total = /^\s*100\.00\s+\S+\s+\d+\s+(\d+)\s+(?:\d+\s+)?total$/m.exec(readFileSync(file, 'utf8'))?.[1];
  if (total === undefined) throw new Error(`strace counted nothing:\n${readFileSync(file, 'utf8')}`);
  return Number(total);
}

const putFunctions = ['sage::Queue::put*'];
const getFunctions = ['sage::Queue::take*', 'sage::Queue::ack(*'];

describe('the native core', () => {
  const native = have('cmake', 'c++');
  if (native) beforeAll(build, 300_000);
  const counted = native && process.arch === 'x64' && process.platform === 'linux' && have('valgrind');

  const limits: [string, string[], number, number][] = [
    ['a put', putFunctions, 1, 311.1],
    ['a get', getFunctions, 1, 188.4],
    ['a put in a batch of 64', putFunctions, 64, 162.7],
    ['a get in a batch of 64', getFunctions, 64, 64.5],
  ];
  for (const [what, functions, batch, expected] of counted ? limits : []) {
    test(`${what} of 64 B takes at most ${expected} instructions and ${Math.round((TOLERANCE - 1) * 100)} %`, () => {
      const found = functions.map((name) => instructions(name, 100, batch));
      // Where there is no function of that name nothing is counted.
      for (const count of found) expect(count).toBeGreaterThan(10);
      expect(found.reduce((sum, count) => sum + count)).toBeLessThan(expected * TOLERANCE);
    });
  }

  test('no message takes an allocation', () => {
    if (!native) return expect(process.env.CI).not.toBe('true');
    const { messages, allocations } = JSON.parse(execFileSync(steady, ['100', '1'], { encoding: 'utf8' })) as {
      messages: number;
      allocations: number;
    };
    expect(messages).toBe(6400);
    expect(allocations).toBe(0);
  });
});

describe('system calls', () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'steady-'))));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const traced = process.platform === 'linux' && have('strace');

  test('ten thousands of messages through the core take none', () => {
    if (!traced || !have('cmake', 'c++')) return expect(process.env.CI).not.toBe('true');
    // 64 000 messages more, not one call more.
    expect(systemCalls(directory, [steady, '1010', '1'])).toBe(systemCalls(directory, [steady, '10', '1']));
  });

  test('a message through Node takes less than a hundredth', () => {
    if (!traced) return expect(process.env.CI).not.toBe('true');
    const command = [
      process.execPath,
      '--expose-gc',
      '--min-semi-space-size=256',
      '--max-semi-space-size=256',
      nodeProgram,
    ];
    const few = systemCalls(directory, [...command, '100']);
    const many = systemCalls(directory, [...command, '2100']);
    // What is left is memory for the pools that items come in, and the collector's threads.
    expect((many - few) / (2000 * 64)).toBeLessThan(0.01);
  }, 60_000);
});

/** Beside its Buffers, whose size is V8's: a Claim is 48 bytes; a closure made on the way of each call is 64, and what it closes over comes to that. */
test.each([
  ['one by one', 24, 1],
  ['in batches', 34, 1],
  ['in place', 78, 2],
])('a message through Node takes, %s, less than %i bytes of the heap beside its Buffers (%i)', (way, most, buffers) => {
  const output = execFileSync(
    process.execPath,
    ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256', nodeProgram, '1000', way],
    { encoding: 'utf8' },
  );
  const { heapBytes, bufferBytes, right } = JSON.parse(output) as Record<'heapBytes' | 'bufferBytes', number> & {
    right: boolean;
  };
  expect(right).toBe(true);
  expect(bufferBytes).toBeGreaterThan(50);
  expect(heapBytes).toBeGreaterThan(buffers * bufferBytes);
  expect(heapBytes).toBeLessThan(buffers * bufferBytes + most);
});
