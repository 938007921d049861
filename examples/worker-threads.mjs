/**
 * Threads share a queue like processes do, each with a handle of its own; in a worker the calls that block are the fastest.
 *   node worker-threads.mjs [THREADS]
 */
import { once } from 'node:events';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { QueueDescriptor, QueueShutDownError, resolveDescriptor } from 'sage-queue';

if (isMainThread) {
  const tasks = resolveDescriptor(QueueDescriptor.createSageQueue(`threads-${process.pid}`));
  const answers = resolveDescriptor(QueueDescriptor.createSageQueue(`threads-${process.pid}.answers`));
  // A descriptor is data: as text it goes into workerData, messages, environment variables.
  const data = { tasks: JSON.stringify(tasks.descriptor), answers: JSON.stringify(answers.descriptor) };
  const threads = Array.from(
    { length: Number(process.argv[2] ?? 2) },
    () => new Worker(new URL(import.meta.url), { workerData: data }),
  );
  const ended = threads.map((thread) => once(thread, 'exit'));
  await tasks.putMany(Array.from({ length: 20 }, (_, n) => n + 70));
  await tasks.shutdown();
  await Promise.all(ended);
  const results = await answers.getMany(20);
  for (const { n, result } of results.sort((a, b) => a.n - b.n).slice(-2)) console.log(`${n}: ${result}`);
  await Promise.all([tasks.close(), answers.close()]);
} else {
  const tasks = resolveDescriptor(workerData.tasks);
  const answers = resolveDescriptor(workerData.answers);
  try {
    for (;;) {
      const n = tasks.getSync(); // sleeps in the kernel; worker.terminate() gets through all the same
      answers.putSync({ n, result: fibonacci(n) });
    }
  } catch (error) {
    if (!(error instanceof QueueShutDownError)) throw error;
  }
  tasks.closeSync();
  answers.closeSync();
}

function fibonacci(n) {
  let [a, b] = [0n, 1n];
  for (let i = 0; i < n; i++) [a, b] = [b, a + b];
  return a;
}
