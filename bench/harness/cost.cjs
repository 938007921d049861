/** One process that measures one thing about itself: `node cost.cjs WHAT DESCRIPTOR`. */
const { readFileSync } = require('node:fs');

const [what, text] = process.argv.slice(2);
performance.now(); // Node loads it when it is first used
const timed = (work) => {
  const begun = performance.now();
  const value = work();
  return [performance.now() - begun, value];
};

/** Times this process's threads were scheduled because something woke them. */
function wakeups() {
  const { readdirSync } = require('node:fs');
  return readdirSync('/proc/self/task')
    .map((task) =>
      Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/self/task/${task}/status`, 'utf8'))[1]),
    )
    .reduce((sum, count) => sum + count, 0);
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const measures = {
  async import() {
    const begun = cpuMs();
    const [importMs] = timed(() => require('./package.cjs'));
    const loadedHeavy = Object.keys(require.cache).filter((path) => /grpc|\/ray|\.node$/.test(path)).length;
    return { importMs, importCpuMs: cpuMs() - begun, loadedHeavy };
  },

  async attach() {
    const { resolveDescriptor } = require('./package.cjs');
    const open = () => resolveDescriptor(text, { create: 'never' });
    const begun = cpuMs();
    const [firstMs, first] = timed(open);
    const firstCpuMs = cpuMs() - begun;
    const attached = [];
    const times = [];
    for (let count = 0; count < 20; count++) {
      const [ms, queue] = timed(open);
      times.push(ms);
      attached.push(queue);
    }
    const [closeMs] = timed(() => first.closeSync());
    for (const queue of attached) queue.closeSync();
    return { firstMs, firstCpuMs, attachMs: times.sort((a, b) => a - b)[10], closeMs };
  },

  async memory() {
    const { QueueDescriptor, listSegments, resolveDescriptor } = require('./package.cjs');
    const make = (name) => resolveDescriptor(QueueDescriptor.createSageQueue(`bench-memory-${process.pid}-${name}`));
    make('first').closeSync();
    const resident = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const count = 50;
    global.gc?.();
    const before = resident();
    const queues = Array.from({ length: count }, (_, index) => make(index));
    const residentKiB = (resident() - before) / count;
    const segment = listSegments().find(({ queueId }) => queueId === queues[0].descriptor.queueId);
    for (const queue of queues) queue.closeSync();
    return { residentKiB, segmentKiB: segment.bytes / 1024 };
  },

  async idle() {
    const { QueueDescriptor, resolveDescriptor } = require('./package.cjs');
    const queue = resolveDescriptor(QueueDescriptor.createSageQueue(`bench-idle-${process.pid}`));
    const waiting = queue.get().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    const [cpu, woken] = [cpuMs(), wakeups()];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // The timer of this measurement is one of them.
    const result = { cpuMs: cpuMs() - cpu, wakeups: wakeups() - woken - 1 };
    queue.closeSync();
    await waiting;
    return result;
  },

  async idleSync() {
    const { QueueDescriptor, resolveDescriptor } = require('./package.cjs');
    const queue = resolveDescriptor(QueueDescriptor.createSageQueue(`bench-idle-${process.pid}`));
    const [cpu, woken] = [cpuMs(), wakeups()];
    try {
      queue.getSync({ timeoutMs: 1000 });
    } catch {
      // Empty, as it has to be.
    }
    const result = { cpuMs: cpuMs() - cpu, wakeups: wakeups() - woken };
    queue.closeSync();
    return result;
  },
};

measures[what]().then((result) => process.stdout.write(JSON.stringify(result)));
