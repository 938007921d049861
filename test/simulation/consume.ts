/**
 * Consumers on a virtual loop: handlers that return, throw, take long, hang and are deaf, retries and their pauses, dead letters for which
 * there is no room, stops with and without grace, queues that fail, types of somebody's own, consumers that die with what they hold and whose
 * handles are closed, a loop that is late by any time.
 */
import { Schedule } from './consume-schedule';
import { runSchedules } from './run-schedules';

// An onError that throws is a warning of the process, and some do.
process.removeAllListeners('warning');

void runSchedules('consumers', 1000, (loop, random) => new Schedule(loop, random).run());
