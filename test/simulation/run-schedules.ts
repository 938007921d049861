/**
 * Schedules on a virtual loop, one after the other, in a process of their own (scripts/test/simulate.mjs). All that is drawn for one, the
 * jitter of what is tried included, comes of the run's seed and its number, so that each can be run again alone.
 */
import { spawnSync } from 'node:child_process';
import { nextTurn } from '../../lib/wait/fairness';
import { chooseSeed, seeded } from '../random';
import type { Random } from '../random';
import { settledForGood, VirtualLoop } from './virtual-clock';

/** What the command line asks for. */
interface Extent {
  /** As many as there is time for, but of a history that is always the same. */
  readonly schedules: number;
  /** Of a core; then it ends, if not before. */
  readonly seconds: number;
  /** The number of the only one; undefined: all. */
  readonly only: number | undefined;
}

type Run = (loop: VirtualLoop, random: Random) => Promise<void>;

/** Neighbours have nothing in common. */
const seedOf = (seed: number, schedule: number): number =>
  Math.imul(seed ^ Math.imul(schedule + 1, 0x9e3779b1), 0x85ebca6b);

function readExtent(count: number): Extent {
  const given = process.argv.slice(2);
  const after = (option: string): number | undefined => {
    const place = given.indexOf(option);
    return place === -1 ? undefined : Number(given[place + 1]);
  };
  const seconds = after('--seconds') ?? Infinity;
  const only = after('--only');
  return { seconds, only, schedules: after('--schedules') ?? (seconds < Infinity && count > 1 ? Infinity : count) };
}

/** Rejections that nobody listens to, of the schedule that runs. */
const unheard: unknown[] = [];

async function runOne(run: Run, loop: VirtualLoop, random: Random): Promise<void> {
  loop.reset();
  const fresh = nextTurn();
  await loop.whole();
  await fresh;
  Math.random = random.next;
  await run(loop, random);
  await settledForGood();
  if (unheard.length > 0) throw unheard[0];
}

/** That one alone, with the stacks of its errors: what it says replays. */
function runAgain(schedule: number, seed: number): void {
  const [, program, name] = process.argv as [string, string, string];
  console.error(`\nagain: SEED=${seed} node scripts/test/simulate.mjs ${name} --only ${schedule}`);
  const env = { ...process.env, SEED: String(seed) };
  spawnSync(process.execPath, [program, name, '--only', String(schedule)], { env, stdio: 'inherit' });
}

/** @param count schedules, unless the command line says how many */
export async function runSchedules(what: string, count: number, run: Run): Promise<void> {
  const { schedules, seconds, only } = readExtent(count);
  const seed = chooseSeed(`schedules of ${what}`);
  const loop = new VirtualLoop();
  // Stacks of errors that are expected would take a fifth of the time; a schedule that runs alone has them.
  if (only === undefined) Error.stackTraceLimit = 0;
  process.on('unhandledRejection', (reason) => unheard.push(reason));
  const uninstall = loop.install();
  const began = process.cpuUsage();
  const usedSeconds = (): number => {
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1e6;
  };
  let schedule = only ?? 0;
  const end = only === undefined ? schedules : only + 1;
  try {
    for (; schedule < end && usedSeconds() < seconds; schedule++)
      await runOne(run, loop, seeded(what, seedOf(seed, schedule)));
  } catch (error) {
    uninstall();
    console.error(`schedule ${schedule} of ${what}, SEED=${seed}:`, error);
    if (only === undefined) runAgain(schedule, seed);
    // What waits in it would go on waiting.
    process.exit(1);
  }
  uninstall();
  const ran = schedule - (only ?? 0);
  console.info(`${ran} schedules of ${what}, ${Math.round(ran / usedSeconds())} in a second of a core`);
}
