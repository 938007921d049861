// `ray_queue` beside Python's own client over ray://, on one cluster, in one run: npm run bench:ray
// Prints a table and, as the last line, JSON. Rates are items (or put+get pairs) per second, waking times in ms.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const { getRayQueue } = createRequire(import.meta.url)('./harness/package.cjs');
const PAIRS = 200;
const BATCHES = 60;
const BATCH = 100;
const WAKES = 60;
const rate = (count, started) => (count * 1000) / (performance.now() - started);
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function node(name) {
  const queue = getRayQueue(name);
  const other = getRayQueue(name);
  await queue.put(0);
  await other.get();
  let started = performance.now();
  for (let left = PAIRS; left > 0; left--) {
    await queue.put(left);
    await queue.get();
  }
  const single = rate(PAIRS, started);
  let left = PAIRS * 8;
  started = performance.now();
  const worker = async () => {
    while (left-- > 0) {
      await queue.put(left);
      await queue.get();
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  const inFlight = rate(PAIRS * 8, started);
  const items = Array.from({ length: BATCH }, (_, at) => at);
  started = performance.now();
  for (let round = BATCHES; round > 0; round--) {
    await queue.putMany(items);
    for (let got = 0; got < BATCH;) got += (await queue.getMany(BATCH)).length;
  }
  const batch = rate(BATCHES * BATCH, started);
  const wakes = [];
  for (let round = WAKES; round > 0; round--) {
    const woken = other.get().then(() => performance.now());
    while ((await queue.stats()).waitingGetters === 0);
    const put = performance.now();
    await queue.put(round);
    wakes.push((await woken) - put);
  }
  await Promise.all([queue.close(), other.close()]);
  return { single, inFlight, batch, wake: median(wakes) };
}

const PYTHON = `
import json, os, ray, threading, time
from ray.util.queue import Queue
ray.init(os.environ["RAY_ADDRESS"], namespace="bench", log_to_driver=False, logging_level="error")
q = Queue(0, actor_options={"num_cpus": 0})
q.put(0); q.get()
t = time.perf_counter()
for i in range(${PAIRS}): q.put(i); q.get()
single = ${PAIRS} / (time.perf_counter() - t)
items = list(range(${BATCH}))
t = time.perf_counter()
for i in range(${BATCHES}): q.put_nowait_batch(items); q.get_nowait_batch(${BATCH})
batch = ${BATCHES * BATCH} / (time.perf_counter() - t)
wakes = []
for i in range(${WAKES}):
    woken = []
    def wait(): q.get(); woken.append(time.perf_counter())
    thread = threading.Thread(target=wait); thread.start()
    time.sleep(0.03)
    t = time.perf_counter(); q.put(i); thread.join(); wakes.append((woken[0] - t) * 1000)
print(json.dumps({"single": single, "batch": batch, "wake": sorted(wakes)[len(wakes) // 2]}))
`;

function python() {
  const child = spawn(process.env.RAY_PYTHON ?? 'python3', ['-c', PYTHON], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  return new Promise((resolve, reject) =>
    child.on('exit', (code) =>
      code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`Python left with ${code}.`)),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // In turns, so that a busy moment of the machine does not fall on one side alone.
  const rounds = { node: [], python: [] };
  for (let round = 0; round < 3; round++) {
    rounds.node.push(await node(`bench-${process.pid}-${round}`));
    rounds.python.push(await python());
  }
  const of = (side, what) => median(rounds[side].map((round) => round[what]));
  const base = of('python', 'single');
  const rows = [
    ['single pairs/s', of('node', 'single'), base, of('node', 'single') / base, '>= 1.3'],
    ['pairs/s, 16 in flight', of('node', 'inFlight'), base, of('node', 'inFlight') / base, '>= 2'],
    ['items/s in batches of 100, to single pairs', of('node', 'batch'), base, of('node', 'batch') / base, '>= 50'],
    [
      'items/s in batches of 100',
      of('node', 'batch'),
      of('python', 'batch'),
      of('node', 'batch') / of('python', 'batch'),
      '>= 1',
    ],
    [
      'waking a get, p50 ms',
      of('node', 'wake'),
      of('python', 'wake'),
      of('node', 'wake') / of('python', 'wake'),
      '<= 1',
    ],
  ];
  console.table(
    rows.map(([what, ours, theirs, ratio, goal]) => ({
      what,
      node: +ours.toFixed(1),
      python: +theirs.toFixed(1),
      ratio: +ratio.toFixed(2),
      goal,
    })),
  );
  console.log(
    JSON.stringify({
      bench: 'ray',
      date: new Date().toISOString(),
      node: process.version,
      cpus: `${cpus().length} × ${cpus()[0]?.model}`,
      rounds,
    }),
  );
}
