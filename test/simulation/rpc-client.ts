/**
 * The client of `rpc` before the real server, on a virtual loop: puts, gets, leases, loops and questions of several clients, with and without
 * timeouts and signals, while connections are slow, break and are refused, the server dies or stops and comes back as another, and the loop
 * is late by any time.
 */
import { Schedule } from './rpc-schedule';
import { runSchedules } from './run-schedules';
import { simulateGrpc } from './streams';

simulateGrpc();

void runSchedules('rpc clients', 400, (loop, random) => new Schedule(loop, random).run());
