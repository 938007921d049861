/** What having a queue costs: import, attach, memory, and a consumer that only waits. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { progress } from './harness/report.mjs';

const PROBE = fileURLToPath(new URL('harness/cost.cjs', import.meta.url));
const { QueueDescriptor, resolveDescriptor } = createRequire(import.meta.url)('./harness/package.cjs');

async function measure(what, descriptor) {
  const child = spawn(process.execPath, [PROBE, what, JSON.stringify(descriptor ?? null)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${what}: the process ended with ${code}`);
  return JSON.parse(text);
}

const lines = [
  ['import', 'importMs', "import 'sage-queue'", 'ms'],
  ['import', 'importCpuMs', 'its CPU time', 'ms'],
  ['import', 'loadedHeavy', 'modules of gRPC, Ray or the addon loaded by it', ''],
  ['attach', 'firstMs', 'first attach of a process, the addon loaded with it', 'ms'],
  ['attach', 'firstCpuMs', 'its CPU time', 'ms'],
  ['attach', 'attachMs', 'attach, the addon loaded', 'ms'],
  ['attach', 'closeMs', 'close', 'ms'],
  ['memory', 'residentKiB', 'memory per attached empty queue (default size), this process', 'KiB'],
  ['memory', 'segmentKiB', 'shared memory per queue of default size', 'KiB'],
  ['idle', 'cpuMs', 'CPU time of one second in await get() on an empty queue', 'ms'],
  ['idle', 'wakeups', 'wakeups of that second', ''],
  ['idleSync', 'cpuMs', 'CPU time of one second in getSync() on an empty queue', 'ms'],
  ['idleSync', 'wakeups', 'wakeups of that second', ''],
];

/** One list of values per line. */
export async function costs(rounds) {
  const descriptor = QueueDescriptor.createSageQueue(`bench-cost-${process.pid}`, {});
  const queue = resolveDescriptor(descriptor);
  const results = lines.map(([, , title, unit]) => ({ title, unit, values: [] }));
  try {
    for (let round = 0; round < rounds; round++) {
      progress(`costs: round ${round + 1} of ${rounds}`);
      const found = {};
      for (const what of new Set(lines.map(([name]) => name))) found[what] = await measure(what, descriptor);
      lines.forEach(([what, key], index) => results[index].values.push(found[what][key]));
    }
  } finally {
    progress('');
    queue.unlinkSync();
    queue.closeSync();
  }
  return results;
}
