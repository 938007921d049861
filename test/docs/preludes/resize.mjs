// A queue of jobs that ends after three of them, and a handler.
import { getSageQueue } from 'sage-queue';

const jobs = getSageQueue('jobs');
await jobs.putMany(['a', 'b', 'c'].map((name) => ({ file: `${name}.png` })));
await jobs.shutdown();
globalThis.resized = [];
globalThis.resize = async (file) => resized.push(file);
process.on('exit', () => {
  jobs.unlinkSync();
  getSageQueue('jobs.dead').unlinkSync();
  if (resized.length !== 3) process.exitCode = 1;
});
