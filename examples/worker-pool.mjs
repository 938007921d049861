/**
 * A pool of workers: jobs with retries, a dead-letter queue for those that never work, and a SIGTERM that loses nothing.
 *   node worker-pool.mjs [WORKERS]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { getSageQueue } from 'sage-queue';
import { consume } from 'sage-queue/work';

const JOBS = 60;
const [role, id] = process.argv.slice(2);
if (role === 'worker') await work(id);
else await dispatch(Number(role ?? 3), `pool-${process.pid}`);

async function work(name) {
  const jobs = getSageQueue(name);
  const results = getSageQueue(`${name}.results`);
  const dead = getSageQueue(`${name}.dead`);
  const consumer = consume(
    jobs,
    async ({ number }, { deliveries }) => {
      if (number % 20 === 7) throw new Error(`Nobody can do number ${number}`);
      if (number % 10 === 3 && deliveries === 1) throw new Error('Not at the first attempt');
      await results.put({ number, square: number ** 2 });
    },
    { concurrency: 4, maxDeliveries: 3, deadLetter: dead, backoffMs: () => 20, onError: () => {} },
  );
  // What is under way ends, or goes back to the queue: Kubernetes kills 30 s after SIGTERM, `docker stop` after 10.
  process.once('SIGTERM', () => void consumer.stop({ graceMs: 8000 }));
  await consumer.done;
  await Promise.all([jobs.close(), results.close(), dead.close()]);
}

async function dispatch(count, name) {
  const jobs = getSageQueue(name, { maxsize: 16 });
  const results = getSageQueue(`${name}.results`);
  const dead = getSageQueue(`${name}.dead`);
  const start = () => {
    const child = fork(fileURLToPath(import.meta.url), ['worker', name]);
    return { child, ended: once(child, 'exit') };
  };
  const workers = Array.from({ length: count }, start);
  const putting = jobs.putMany(Array.from({ length: JOBS }, (_, number) => ({ number })));

  // At least once: a result that comes a second time is one that was known already.
  const known = new Map();
  const take = async () => {
    const { number, square } = await results.get({ timeoutMs: 20_000 });
    known.set(number, square);
  };
  while (known.size < JOBS / 4) await take();

  // A new version is rolled out, worker by worker; one of them does not even get to hear of it.
  workers[0].child.kill('SIGKILL');
  workers[1]?.child.kill('SIGTERM');
  workers.push(start(), start());

  await putting;
  const hopeless = JOBS / 20;
  while (known.size < JOBS - hopeless) await take();
  while ((await dead.qsize()) < hopeless) await new Promise((resolve) => setTimeout(resolve, 10));
  await jobs.shutdown();
  await Promise.all(workers.map(({ ended }) => ended));

  console.log(`${known.size} of ${JOBS} jobs done, the sum of their squares is ${sum(known.values())}`);
  const letters = new Map((await dead.getMany(2 * hopeless)).map((letter) => [letter.item.number, letter]));
  for (const [number, letter] of [...letters].sort(([a], [b]) => a - b)) {
    console.log(`number ${number} failed: ${letter.error.message}`);
  }
  await Promise.all([jobs.close(), results.close(), dead.close()]);
  // Not needed with a name that stays: what is in a queue is there for the next run.
  for (const queue of [name, `${name}.results`, `${name}.dead`]) getSageQueue(queue).unlinkSync();
}

function sum(numbers) {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
