// A queue of jobs with three of them in it, and what is done with one.
import { getSageQueue } from 'sage-queue';

globalThis.jobs = getSageQueue('jobs');
globalThis.work = async () => {};
await jobs.putMany(['a', 'b', 'c'].map((url) => ({ url })));
process.on('exit', () => jobs.unlinkSync());
