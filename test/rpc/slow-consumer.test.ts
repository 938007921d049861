import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Ten minutes with SAGE_QUEUE_LONG=1, as npm run test:rpc:long has it. */
const overloadMs = process.env.SAGE_QUEUE_LONG === '1' ? 600_000 : 12_000;
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  }
});

function start(role: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['--expose-gc', join(__dirname, 'support/overload.cjs'), role, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  return child;
}

const said = async <T>(child: ChildProcess): Promise<T> => (await once(child, 'message'))[0] as T;

interface Sample {
  rss: number;
  count: number;
}

async function sample(child: ChildProcess): Promise<Sample> {
  child.send('sample');
  return said<Sample>(child);
}

test(
  'a producer faster than the consumer waits, and memory stays flat',
  async () => {
    const server = start('server');
    const { port } = await said<{ port: number }>(server);
    const producer = start('producer', String(port));
    const consumer = start('consumer', String(port));
    const third = overloadMs / 3;
    const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    await after(third);
    const before = await Promise.all([server, producer, consumer].map(sample));
    await after(2 * third);
    const later = await Promise.all([server, producer, consumer].map(sample));
    const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);
    console.log(
      `rss MiB after ${third / 1000} s and ${overloadMs / 1000} s: ` +
        before.map((entry, index) => `${megabytes(entry.rss)} → ${megabytes(later[index]!.rss)}`).join(', '),
    );
    for (const [index, entry] of later.entries()) expect(entry.rss - before[index]!.rss).toBeLessThan(40 * 2 ** 20);
    const [, produced, consumed] = later as [Sample, Sample, Sample];
    expect(consumed.count).toBeGreaterThan(before[2]!.count);
    // The queue's 1000, one window of the client's, and what is on its way to the consumer.
    expect(produced.count - consumed.count).toBeLessThan(1000 + 16_384 + 4096);
  },
  overloadMs + 60_000,
);
