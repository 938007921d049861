// A consumer that works on jobs without end, and the order to stop.
import { getSageQueue } from 'sage-queue';
import { consume } from 'sage-queue/work';

globalThis.jobs = getSageQueue('jobs');
globalThis.consumer = consume(jobs, async () => {});
process.on('exit', () => getSageQueue('jobs').unlinkSync());
setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
