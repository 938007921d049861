/** Schedules on a virtual loop, one after the other: all that is drawn, the jitter of what is tried included, comes of one seed. */
import { seeded } from '../random';
import type { Random } from '../random';
import { VirtualLoop } from './virtual-clock';

/** @param count unless SCHEDULES says how many */
export async function runSchedules(
  what: string,
  count: number,
  run: (loop: VirtualLoop, random: Random) => Promise<void>,
): Promise<void> {
  const schedules = Number(process.env.SCHEDULES ?? count);
  const random = seeded(`schedules of ${what}`);
  const loop = new VirtualLoop();
  const uninstall = loop.install();
  const { random: chance } = Math;
  Math.random = random.next;
  const began = process.cpuUsage();
  try {
    for (let schedule = 0; schedule < schedules; schedule++) {
      try {
        await run(loop, random);
      } catch (error) {
        (error as Error).message += ` (schedule ${schedule})`;
        throw error;
      }
    }
  } finally {
    Math.random = chance;
    uninstall();
    const { user, system } = process.cpuUsage(began);
    console.info(`${Math.round((schedules * 1e6) / (user + system))} schedules a second`);
  }
}
