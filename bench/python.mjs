/**
 * npm run bench:python [-- --rounds N] [--ms N] [--only NAME[,NAME…]]
 *
 * Python between processes beside its own queues, Node and Python beside a unix socket, and C++ through the C interface beside the core: the
 * contenders of a suite run in turn (A B C A B C …), each in new processes; medians, quartiles, and the median of the ratios within a round. The
 * interpreter is one of its own (bench/.venv), with the package, numpy and faster-fifo in it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './harness/machine.mjs';
import { formatValue, progress, printMachine } from './harness/report.mjs';
import { ratios, summary } from './harness/statistics.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string' }, ms: { type: 'string' }, only: { type: 'string' }, out: { type: 'string' } },
});
const rounds = Number(options.rounds ?? 7);
const measureMs = Number(options.ms ?? 500);
const warmMs = 200;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const python = here('.venv/bin/python');
const run = (command, args) => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/**
 * What is promised of the ratio of the first contender of a target to the second: at least so much, of times at most. The contenders of a
 * suite without any are those that python/pairs.py has for it.
 */
const suites = [
  {
    id: 'one',
    title: 'Python to Python, 64 B, one by one',
    targets: [
      ['sage', 'multiprocessing', 10],
      ['sage', 'faster_fifo', 8],
    ],
  },
  {
    id: 'batch',
    title: 'Python to Python, 64 B, batches of 64',
    targets: [['sage', 'faster_fifo', 20]],
  },
  {
    id: 'dict',
    title: 'Python to Python, dicts of five fields',
    targets: [
      ['sage', 'multiprocessing', 3],
      ['sage_schema', 'multiprocessing', 6],
    ],
  },
  {
    id: 'numpy',
    title: 'Python to Python, NumPy arrays of 1 MiB, in place',
    targets: [['sage', 'multiprocessing', 10]],
  },
  {
    id: 'trip',
    title: 'Node and Python, round trip of 64 B',
    unit: 'µs',
    targets: [['sage', 'unix_socket', 0.5]],
  },
  {
    id: 'cpp',
    title: 'C++ to C++, 64 B, one by one: through the C interface, and the core itself',
    contenders: ['c_1', 'c_one_thread', 'sage_1'],
    targets: [
      ['c_1', 'sage_1', 0.9],
      ['c_one_thread', 'sage_1', 0.9],
    ],
    command: (name) => [here('../build/bench/native/bench/throughput'), [name, String(measureMs)]],
  },
  {
    id: 'cpp_batch',
    title: 'C++ to C++, 64 B, batches of 64: through the C interface, and the core itself',
    contenders: ['c_64', 'sage_64'],
    targets: [['c_64', 'sage_64', 0.9]],
    command: (name) => [here('../build/bench/native/bench/throughput'), [name, String(measureMs)]],
  },
];

function prepare() {
  run('npm', ['run', '-s', 'bench:native']);
  run(here('../scripts/build/python-package.sh'), []);
  if (!existsSync(python)) run('python3', ['-m', 'venv', here('.venv')]);
  const dist = here('../out/python/dist');
  const wheel = readdirSync(dist).find((name) => name.endsWith('.whl'));
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet', 'install'];
  run(python, [...pip, '--force-reinstall', '--no-deps', `${dist}/${wheel}`]);
  run(python, [...pip, 'msgpack>=1.1,<2', 'numpy', 'faster-fifo']);
}

/** Names of contenders by suite. */
const pairs = () => JSON.parse(run(python, [here('python/pairs.py'), 'contenders']));

const echo = [process.execPath, here('harness/echo.cjs')];
const commandOf = (suite, name) =>
  suite.command?.(name) ?? [
    python,
    [here('python/pairs.py'), `${suite.id}/${name}`, String(warmMs), String(measureMs), ...echo],
  ];

function measure(suite, contenders) {
  const results = contenders.map((name) => ({ name, runs: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const { name, runs } of results) {
      progress(`${suite.id}: round ${round + 1} of ${rounds}, ${name}`);
      runs.push({ round, value: JSON.parse(run(...commandOf(suite, name))).value });
    }
  }
  progress('');
  return results;
}

/** A table of Markdown, so that it can be shown elsewhere as it is. */
function print({ title, unit, targets }, results) {
  console.log(`\n${title}\n\n| | median | quartiles | |\n| --- | ---: | ---: | --- |`);
  const runsOf = (name) => results.find((result) => result.name === name).runs;
  for (const { name, runs } of results) {
    const { median, q1, q3 } = summary(runs.map(({ value }) => value));
    const held = targets
      .filter(([subject]) => subject === name)
      .map(([, reference, target]) => {
        const ratio = summary(ratios(runs, runsOf(reference))).median;
        const good = unit === 'µs' ? ratio <= target : ratio >= target;
        const wanted = `${unit === 'µs' ? 'at most' : 'at least'} ${target}`;
        return `${ratio.toFixed(2)} × ${reference} (wanted: ${wanted}${good ? '' : ', **missed**'})`;
      });
    const [low, high] = [q1, q3].map((value) => formatValue(value, unit));
    console.log(`| ${name} | ${formatValue(median, unit)} | ${low} … ${high} | ${held.join(', ')} |`);
  }
}

const begun = Date.now();
prepare();
const report = {
  date: new Date().toISOString(),
  command: 'npm run bench:python',
  machine: describeMachine(),
  python: run(python, ['--version']).trim(),
  rounds,
  warmMs,
  measureMs,
  suites: [],
};
printMachine(report);
console.log(report.python);
const ofPython = pairs();
for (const suite of suites) {
  if (options.only !== undefined && !options.only.split(',').includes(suite.id)) continue;
  const results = measure(suite, suite.contenders ?? ofPython[suite.id]);
  print(suite, results);
  report.suites.push({ id: suite.id, title: suite.title, unit: suite.unit ?? '/s', targets: suite.targets, results });
}
const file = options.out ?? here(`results/${report.date.slice(0, 19).replaceAll(':', '')}-python.json`);
mkdirSync(here('results'), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`);
console.log(`\nTook ${Math.round((Date.now() - begun) / 1000)} s. Figures: ${file}`);
