/**
 * Node has the samples, Python works out their medians: two processes of Python beside this one, one of which is killed.
 *   node node-and-python.mjs        PYTHON names another interpreter than python3; it has the package: pip install sage-queue
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { getSageQueue } from 'sage-queue';

const SAMPLES = 200;
const name = `samples-${process.pid}`;
const samples = getSageQueue(name, { maxsize: 50 });
const results = getSageQueue(`${name}-results`, { maxsize: SAMPLES + 1 });

const script = fileURLToPath(new URL('node-and-python.py', import.meta.url));
const workers = [1, 2].map(() => spawn(process.env.PYTHON ?? 'python3', [script, name], { stdio: 'inherit' }));

// The first one is killed. Where the second one goes before its time, nobody takes what is put any more.
const worked = once(workers[1], 'exit').then(([code]) => {
  if (code !== 0) throw new Error(`A worker of Python ended with ${code}.`);
});
workers[0].on('error', () => {}); // one that cannot be started: the second one tells

async function hand() {
  for (let id = 0; id < SAMPLES; id++) {
    const values = Float64Array.from({ length: 101 }, (_, n) => Math.sin(id + n));
    await samples.put({ id, values }); // waits while 50 wait
    if (id === SAMPLES / 2) workers[0].kill('SIGKILL');
  }
  await samples.join(); // nothing waits, and nothing is on lease
  await samples.shutdown();
}

try {
  await Promise.all([hand(), worked]);
  // A worker that is killed between its result and its acknowledgement leaves both the result and the sample.
  const medians = new Map((await results.getMany(SAMPLES + 1)).map(({ id, median }) => [id, median]));
  console.log(`${medians.size} medians, the largest ${Math.max(...medians.values()).toFixed(4)}`);
} finally {
  for (const worker of workers) worker.kill();
  await samples.shutdown({ immediate: true });
  await results.shutdown({ immediate: true });
  await Promise.all([samples.close(), results.close()]);
}
