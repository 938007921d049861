/** Callers and servers in processes of their own, and the death of either. SAGE_QUEUE_LONG=1 makes 100 000 calls. */
import { listSegments, resolveDescriptor } from '../../lib';
import type { NativeQueue } from '../../lib';
import { describeQueue, start, until } from '../shm/child';
import type { Child } from '../shm/child';

const LONG = process.env.SAGE_QUEUE_LONG === '1';
const CALLS = LONG ? 33_334 : 1000;
const AT_ONCE = LONG ? 500 : 100;
const KILLS = LONG ? 10 : 3;
/** A request that was in a death waits for its turn alone; a busy machine adds to that. */
const TIMEOUT_MS = LONG ? 120_000 : 20_000;

jest.setTimeout(LONG ? 600_000 : 120_000);

const SERVER = `
const { serve } = require('sage-queue/work');
const server = serve(open(), async (n) => {
  await new Promise(setImmediate);
  if (n % 10 === 3) throw new RangeError('no ' + n);
  return { n, pid: process.pid };
}, { concurrency: 32, backoffMs: () => 10 });
process.once('SIGTERM', async () => { await server.stop(); process.exit(0); });
say('ready');
`;

const CALLER = `
const { caller } = require('sage-queue/work');
const [calls, atOnce, timeoutMs] = given;
(async () => {
  const queue = open();
  const one = caller(queue, { timeoutMs });
  const counts = { resolved: 0, rejected: 0, timedOut: 0, other: [] };
  let next = 0;
  const line = async () => {
    while (next < calls) {
      const n = next++;
      if (next === Math.floor(calls / 2)) say('half');
      try {
        const reply = await one.call(n);
        if (reply.n !== n) counts.other.push('reply of another: ' + reply.n);
        counts.resolved++;
      } catch (error) {
        if (error.code === 'ERR_REMOTE' && error.name === 'RangeError' && error.message === 'no ' + n) counts.rejected++;
        else if (error.code === 'ERR_QUEUE_TIMEOUT') counts.timedOut++;
        else counts.other.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, line));
  say(counts);
  await one.close();
  await queue.close();
})();
`;

const replyQueues = (of: string): string[] =>
  listSegments()
    .map(({ name }) => name)
    .filter((name) => name.startsWith(`${of}.reply.`));

test('each call resolves, rejects with what the handler threw, or times out; nothing of the dead is kept', async () => {
  const descriptor = describeQueue('sage_queue', { maxsize: 1000 });
  const queue = resolveDescriptor(descriptor) as unknown as NativeQueue;
  const servers = new Set<Child>();
  let over = false;
  const hire = (): void => {
    const server = start(SERVER, descriptor);
    servers.add(server);
    void server.ended.then(({ signal }) => {
      servers.delete(server);
      if (signal === 'SIGKILL' && !over) hire();
    });
  };
  try {
    for (let index = 0; index < 3; index++) hire();
    await Promise.all([...servers].map((server) => server.next()));
    const callers = Array.from({ length: 3 }, () => start(CALLER, descriptor, [CALLS, AT_ONCE, TIMEOUT_MS]));
    const doomed = start(CALLER, descriptor, [1_000_000, 50, TIMEOUT_MS]);
    for (let kill = 0; kill < KILLS; kill++) {
      await new Promise((resolve) => setTimeout(resolve, LONG ? 500 : 50));
      [...servers][kill % servers.size]?.signal('SIGKILL');
    }
    await doomed.kill();
    for (const one of callers) {
      expect(await one.next()).toBe('half');
      const counts = (await one.next()) as { resolved: number; rejected: number; timedOut: number; other: string[] };
      expect(counts.other).toEqual([]);
      expect(counts.resolved + counts.rejected + counts.timedOut).toBe(CALLS);
      expect(counts.timedOut).toBe(0);
      expect(counts.rejected).toBe(Math.floor((CALLS + 6) / 10));
      expect(await one.clean()).toEqual([]);
    }
    // The servers that held the dead one's queue let go of it once they see that it is dead.
    await until('no reply queue is left', () => replyQueues(descriptor.queueId).length === 0);
  } finally {
    over = true;
    for (const server of servers) server.signal('SIGTERM');
    await Promise.all([...servers].map((server) => server.ended));
    queue.unlinkSync();
    queue.closeSync();
  }
});
