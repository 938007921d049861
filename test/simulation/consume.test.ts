/**
 * Consumers on a virtual loop: handlers that return, throw, take long, hang and are deaf, retries and their pauses, dead letters for which
 * there is no room, stops with and without grace, queues that fail, consumers that die with what they hold, a loop that is late by any time.
 * Each run says its seed; SEED=… repeats it.
 */
import { seeded } from '../random';
import { Schedule } from './consume-schedule';
import { VirtualLoop } from './virtual-clock';

const SCHEDULES = Number(process.env.SCHEDULES ?? 300);
jest.setTimeout(120_000);

test('each item is done, or dead and said so, once, whatever its handlers, its consumers and their queues do', async () => {
  const random = seeded('schedules of consumers');
  const loop = new VirtualLoop();
  const uninstall = loop.install();
  const began = process.cpuUsage();
  try {
    for (let schedule = 0; schedule < SCHEDULES; schedule++) {
      try {
        await new Schedule(loop, random).run();
      } catch (error) {
        (error as Error).message += ` (schedule ${schedule})`;
        throw error;
      }
    }
  } finally {
    uninstall();
    const seconds = (process.cpuUsage(began).user + process.cpuUsage(began).system) / 1e6;
    console.info(`${Math.round(SCHEDULES / seconds)} schedules a second`);
  }
});
