// One data set through one queue on Ray, taken by Node processes and by real Ray tasks in Python, results equal:
//   npm run build:ts && node scripts/ray-cluster.mjs node examples/ray-demo.mjs
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { RayClient } from 'sage-queue/ray';
import { getRayQueue } from 'sage-queue';

const ITEMS = 2000;
const namespace = 'demo';
const item = (at) => ({ id: at, text: `líne ${at} 漢😀`.repeat(1 + (at % 3)) });
const digest = ({ id, text }) => `${id}:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;

async function worker(jobs, results) {
  const from = getRayQueue(jobs, { namespace });
  const to = getRayQueue(results, { namespace });
  for (;;) {
    const items = await from.getMany(10);
    const work = items.filter((one) => one !== null);
    await to.putMany(work.map((one) => ({ worker: 'node', digest: digest(one) })));
    // A batch may hold the end marks of others: those go back.
    const ends = items.length - work.length;
    if (ends > 0) {
      await from.putMany(Array.from({ length: ends - 1 }, () => null));
      break;
    }
  }
  await Promise.all([from.close(), to.close()]);
}

const PYTHON = `
import hashlib, os, sys, ray
ray.init(os.environ["RAY_ADDRESS"], namespace="demo", log_to_driver=False, logging_level="error")
@ray.remote(num_cpus=0.5)
def work(jobs, results):
    from ray.util.queue import Queue
    def attach(name):
        queue = Queue.__new__(Queue)
        queue.maxsize, queue.actor = 0, ray.get_actor(name, namespace="demo")
        return queue
    source, target, done = attach(jobs), attach(results), 0
    while (item := source.get()) is not None:
        sha = hashlib.sha256(item["text"].encode()).hexdigest()[:16]
        target.put({"worker": "python", "digest": f"{item['id']}:{sha}"})
        done += 1
    return done
print(sum(ray.get([work.remote(*sys.argv[1:]) for _ in range(2)])))
`;

const left = (child) =>
  new Promise((resolve, reject) =>
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`A worker left with ${code}.`)))),
  );

async function main() {
  const suffix = `${process.pid}-${Date.now()}`;
  const names = [`jobs-${suffix}`, `results-${suffix}`];
  const [jobs, results] = names.map((name) => getRayQueue(name, { namespace }));
  await Promise.all([jobs.qsize(), results.qsize()]);
  const python = spawn(process.env.RAY_PYTHON ?? 'python3', ['-c', PYTHON, ...names], { stdio: 'inherit' });
  const nodes = [0, 1].map(() =>
    spawn(process.execPath, [fileURLToPath(import.meta.url), ...names], { stdio: 'inherit' }),
  );
  // Nobody is left behind: the work starts when all four wait for it.
  while ((await jobs.stats()).waitingGetters < 4) await new Promise((resolve) => setTimeout(resolve, 100));
  // One end mark for each worker; Python's and Node's are the same None.
  await jobs.putMany(Array.from({ length: ITEMS }, (_, at) => item(at)));
  await jobs.putMany([null, null, null, null]);
  const got = [];
  while (got.length < ITEMS) got.push(...(await results.getMany(500)));
  await Promise.all([left(python), ...nodes.map(left)]);
  const expected = Array.from({ length: ITEMS }, (_, at) => digest(item(at))).sort();
  const equal = JSON.stringify(got.map((one) => one.digest).sort()) === JSON.stringify(expected);
  const by = (name) => got.filter((one) => one.worker === name).length;
  console.log(
    `${got.length} results, ${by('python')} by Ray tasks in Python, ${by('node')} by Node processes: ${equal ? 'equal' : 'DIFFERENT'}`,
  );
  await Promise.all([jobs.close(), results.close()]);
  const ray = await RayClient.connect({ namespace });
  for (const name of names) await ray.kill(await ray.getActor(name));
  await ray.close();
  process.exitCode = equal ? 0 : 1;
}

if (process.argv.length > 2) await worker(process.argv[2], process.argv[3]);
else await main();
