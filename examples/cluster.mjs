/**
 * The processes of `cluster`, and of any other manager that starts equal workers (pm2, systemd), share a queue by its name alone.
 *   node cluster.mjs [WORKERS]
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { getSageQueue } from 'sage-queue';

const JOBS = 100;

if (cluster.isPrimary) {
  const name = `cluster-${process.pid}`;
  const jobs = getSageQueue(name);
  const done = getSageQueue(`${name}.done`);
  const workers = Array.from({ length: Number(process.argv[2] ?? 2) }, () => cluster.fork({ QUEUE: name }));
  const ended = workers.map((worker) => once(worker, 'exit'));
  await jobs.putMany(Array.from({ length: JOBS }, (_, number) => number));
  await jobs.shutdown();
  await Promise.all(ended);
  console.log(`${(await done.getMany(JOBS)).length} of ${JOBS} by ${workers.length} workers`);
  await Promise.all([jobs.close(), done.close()]);
} else {
  const jobs = getSageQueue(process.env.QUEUE);
  const done = getSageQueue(`${process.env.QUEUE}.done`);
  for await (const number of jobs) await done.put(number);
  await Promise.all([jobs.close(), done.close()]);
  cluster.worker.disconnect();
}
