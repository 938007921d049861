/**
 * npm run bench [-- --short] [--only NAME[,NAME…]] [--contenders NAME[,NAME…]] [--rounds N] [--ms N] [--busy N] [--out FILE]
 *
 * Every suite runs its contenders in turn (A B C A B C …), each run in new processes, and prints medians, quartiles and the ratio within
 * each round. --busy keeps so many cores busy with other work meanwhile. The figures go to bench/results/DATE.json, plots and tables of them
 * to bench/results/DATE-plots.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { costs } from './costs.mjs';
import { growth } from './growth.mjs';
import { describeMachine } from './harness/machine.mjs';
import { runExternal, runRoundTrip, runThroughput } from './harness/processes.mjs';
import { printCosts, printGrowth, progress, printMachine, printSuite, printTargets } from './harness/report.mjs';
import { writePlots } from './plots.mjs';
import { suites, targets } from './suites.mjs';

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    contenders: { type: 'string' },
    rounds: { type: 'string' },
    ms: { type: 'string' },
    busy: { type: 'string' },
    out: { type: 'string' },
  },
});

const rounds = Number(options.rounds ?? (options.short ? 3 : 7));
const measureMs = Number(options.ms ?? (options.short ? 300 : 400));
const warmMs = options.short ? 100 : 200;
const list = (text) => text?.split(',').filter((part) => part !== '');
const only = list(options.only);
/** What runs without being asked for when the run is to be short. */
const SHORT = [
  'native-64',
  'bytes-64',
  'objects',
  'large-objects',
  'bytes-65536',
  'round-trip',
  'asleep',
  'costs',
  'growth',
];

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

async function loadContenders() {
  const found = new Map();
  for (const file of readdirSync(here('contenders')).sort()) {
    if (!file.endsWith('.mjs')) continue;
    const { variants = [] } = await import(new URL(`contenders/${file}`, import.meta.url).href);
    for (const variant of variants) found.set(variant.name, { ...variant, file: basename(file, '.mjs') });
  }
  return found;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

let runs = 0;
async function runOnce(suite, contender) {
  const [producers, consumers] = contender.topology.split('-').map(Number);
  const directory = mkdtempSync(join(tmpdir(), 'sage-bench-'));
  const run = {
    id: `${process.pid}-${runs++}`,
    variant: contender.name,
    file: contender.file,
    work: suite.work,
    producers,
    consumers,
    directory,
    warmMs,
    // Trips with a pause in each need more time to be as many.
    measureMs: suite.pauseMs === undefined ? measureMs : measureMs * 2,
    pauseMs: suite.pauseMs,
    port: contender.needsPort ? await freePort() : undefined,
  };
  let stop;
  try {
    stop = await contender.prepare?.(run);
    if (contender.external !== undefined) return await runExternal(contender, run);
    return await (suite.measure === 'round-trip' ? runRoundTrip : runThroughput)(contender, run);
  } finally {
    await stop?.();
    rmSync(directory, { recursive: true, force: true });
  }
}

const suits = (suite, contender) =>
  contender.topologies.includes(contender.topology) &&
  (contender.works?.includes(suite.work.kind) ?? true) &&
  (suite.measure !== 'round-trip' || contender.ping !== undefined);

async function runSuite(suite, contenders) {
  const chosen = [];
  const skipped = [];
  const asked = list(options.contenders);
  for (const name of suite.contenders) {
    // A name may end in the processes it takes where they are not those of the suite.
    const [base, topology = suite.topology] = name.split('@');
    const found = contenders.get(base);
    if (found === undefined) continue;
    const title = topology === suite.topology ? found.title : `${found.title}, ${topology.replace('-', ' to ')}`;
    const contender = { ...found, topology, id: name, title };
    if (!suits(suite, contender)) continue;
    if (asked !== undefined && !asked.some((part) => name.startsWith(part))) continue;
    const cure = contender.missing?.();
    if (cure === undefined) chosen.push(contender);
    else skipped.push({ name, title: contender.title, cure });
  }
  const results = chosen.map((contender) => ({
    name: contender.id,
    title: contender.title,
    own: contender.own === true,
    runs: [],
  }));
  const failures = [];
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of chosen.entries()) {
      progress(`${suite.id}: round ${round + 1} of ${rounds}, ${contender.id}`);
      try {
        results[index].runs.push({ round, load: loadavg()[0], ...(await runOnce(suite, contender)) });
      } catch (error) {
        failures.push({ name: contender.id, round, message: error.message });
      }
    }
  }
  progress('');
  const { id, title, measure, unit, work, topology } = suite;
  return {
    id,
    title,
    measure,
    unit,
    work,
    topology,
    rounds,
    results: results.filter((one) => one.runs.length > 0),
    skipped,
    failures,
  };
}

const begun = Date.now();
const report = {
  date: new Date().toISOString(),
  command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
  machine: describeMachine(),
  rounds,
  warmMs,
  measureMs,
  suites: [],
};
printMachine(report);
const busy = Array.from({ length: Number(options.busy ?? 0) }, () =>
  spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
);
process.once('exit', () => busy.forEach((child) => child.kill('SIGKILL')));

const contenders = await loadContenders();
const wanted = (id) =>
  only === undefined ? !options.short || SHORT.includes(id) : only.some((part) => id.startsWith(part));
for (const suite of suites.filter(({ id }) => wanted(id))) {
  const result = await runSuite(suite, contenders);
  report.suites.push(result);
  printSuite(result);
}
if (wanted('costs')) {
  report.costs = await costs(rounds);
  printCosts(report.costs);
}
if (wanted('growth')) {
  report.growth = await growth(options.short ? 1 : Math.min(rounds, 3));
  printGrowth(report.growth);
}
report.targets = printTargets(targets, report.suites);
report.tookSeconds = Math.round((Date.now() - begun) / 1000);

const file = options.out ?? here(`results/${report.date.slice(0, 19).replaceAll(':', '')}.json`);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`);
const folder = file.replace(/(\.json)?$/, '-plots');
const plots = writePlots(report, folder);
console.log(`\nTook ${report.tookSeconds} s. Figures: ${file}\nPlots and tables: ${plots.length} files in ${folder}`);
console.log(`Into docs/benchmarks.md: npm run bench:plots -- ${file}`);
if (report.suites.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
