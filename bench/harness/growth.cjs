/** One process that measures what more of something costs: `node growth.cjs WHAT COUNT`; `attach` and `wait` are the others it starts. */
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { QueueDescriptor, resolveDescriptor } = require('./package.cjs');

const [what, text, descriptor] = process.argv.slice(2);
const count = Number(text);
const PAIRS = 20_000;
const ITEM = Buffer.alloc(64, 1);

const open = (name) => resolveDescriptor(QueueDescriptor.createSageQueue(`bench-growth-${process.pid}-${name}`));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const resident = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);

/** @returns nanoseconds of CPU time of one putSync and one getSync, the queue empty in between */
function pairNanos(queue) {
  const times = [];
  for (let round = 0; round < 6; round++) {
    const begun = process.cpuUsage();
    for (let pair = 0; pair < PAIRS; pair++) {
      queue.putSync(ITEM);
      queue.getSync();
    }
    const { user, system } = process.cpuUsage(begun);
    times.push(((user + system) * 1000) / PAIRS);
  }
  return median(times.slice(1));
}

/** Others in the given role at the queue; they end with their stdin. */
async function start(role, how, number, queue) {
  const children = [];
  for (let index = 0; index < number; index++) {
    const child = spawn(process.execPath, [__filename, role, String(how), JSON.stringify(queue)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    children.push(child);
  }
  return {
    children,
    async stop() {
      for (const child of children) child.stdin.end();
      await Promise.all(children.map((child) => once(child, 'close')));
    },
  };
}

const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  // Ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

const roles = {
  async queues() {
    open('first').closeSync();
    const before = resident();
    const begun = performance.now();
    const queues = Array.from({ length: count }, (_, index) => open(index));
    const openMs = (performance.now() - begun) / count;
    const result = { openMs, residentKiB: (resident() - before) / count, pairNanos: pairNanos(queues.at(-1)) };
    for (const queue of queues) queue.closeSync();
    return result;
  },

  async processes() {
    const queue = open('shared');
    const others = await start('attach', 0, count - 1, queue.descriptor);
    const begun = performance.now();
    resolveDescriptor(queue.descriptor, { create: 'never' }).closeSync();
    const result = { attachMs: performance.now() - begun, pairNanos: pairNanos(queue) };
    await others.stop();
    queue.closeSync();
    return result;
  },

  /** All of them in `await get()` in one other process. */
  async waiters() {
    const queue = open('shared');
    const others = await start('wait', count, 1, queue.descriptor);
    const { pid } = others.children[0];
    await pause(100);
    const cpu = cpuOf(pid);
    await pause(1000);
    const idleCpuMs = cpuOf(pid) - cpu;
    const times = [];
    for (let item = 0; item < 200; item++) {
      const begun = performance.now();
      queue.putSync(ITEM);
      times.push((performance.now() - begun) * 1000);
      await pause(1);
    }
    await others.stop();
    queue.closeSync();
    return { idleCpuMs, putMicros: median(times) };
  },

  async attach() {
    const queue = resolveDescriptor(descriptor, { create: 'never' });
    process.stdout.write('ready');
    await once(process.stdin.resume(), 'end');
    queue.closeSync();
  },

  async wait() {
    const queues = Array.from({ length: count }, () => resolveDescriptor(descriptor, { create: 'never' }));
    const waiting = queues.map(async (queue) => {
      for (;;) await queue.get();
    });
    // Closing ends each of them with an error.
    const ended = Promise.allSettled(waiting);
    process.stdout.write('ready');
    await once(process.stdin.resume(), 'end');
    for (const queue of queues) queue.closeSync();
    await ended;
  },
};

void roles[what]().then((result) => {
  if (result !== undefined) process.stdout.write(JSON.stringify(result));
});
