/**
 * One of two containers that share a directory and nothing else: it puts jobs, and waits until the other has done them all. compose.yaml
 * and pod.yaml, beside this file, start both.
 */
import { getSageQueue } from 'sage-queue';

const JOBS = Number(process.env.JOBS ?? 1000);

// Whichever container comes first makes the queue; the other one finds it.
const jobs = getSageQueue('jobs', { maxsize: 64 });
for (let number = 1; number <= JOBS; number++) await jobs.put({ number });
await jobs.shutdown();
await jobs.join();
console.log(`${JOBS} jobs are done`);
await jobs.close();
