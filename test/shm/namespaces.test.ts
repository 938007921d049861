/**
 * Processes that share nothing but the directory of segments, as containers do: each in a pid, mount, ipc, net and user namespace
 * of its own.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { pruneSegments } from '../../lib';
import type { SegmentInfo } from '../../lib';
import { APART, attach, describeQueue, errorOf, now, run, SHM, start, types, until } from './child';
import type { Child } from './child';
import { containersArePossible } from './containers';
import { makeFifo, survivorOf } from './mourning';

const BOUND_MS = 100;

const containers = containersArePossible ? describe.each(types) : describe.skip.each(types);

const apart = { wrapper: APART };
const places = [
  ['inside', {}],
  ['in another container', apart],
] as const;

/** Of a process: what /proc has of it, or nothing where it has ended. */
const told = <T>(ask: () => T[]): T[] => {
  try {
    return ask();
  } catch {
    return [];
  }
};
const familyOf = (pid: number): number[] => [
  pid,
  ...told(() => readdirSync(`/proc/${pid}/task`))
    .flatMap((task) => told(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ')))
    .filter((child) => child.trim() !== '')
    .flatMap((child) => familyOf(Number(child))),
];
const seen = new Set<string>();
/** Doorbells that are there, of this process and those it started: of now, and of earlier calls. Other test files have some too. */
function bells(): string[] {
  for (const pid of familyOf(process.pid)) {
    for (const fd of told(() => readdirSync(`/proc/${pid}/fd`))) {
      for (const path of told(() => [readlinkSync(`/proc/${pid}/fd/${fd}`)])) {
        if (path.startsWith(`${SHM}/sage-queue-bell+`)) seen.add(basename(path));
      }
    }
  }
  return readdirSync(SHM).filter((file) => seen.has(file));
}

const waiter = `
  (async () => {
    const queue = open();
    say('waits');
    const item = given[0] === 'blocked' ? queue.getSync() : await queue.get();
    say([item, now()]);
    hear();
    queue.closeSync();
  })();`;

containers('%s', (type) => {
  test.each(['blocked', 'awaited'])('what is put in one container arrives in another (%s), both ways', async (how) => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const other = start(waiter, descriptor, [how], apart);
    await other.next();
    await until('it waits', async () => (await queue.stats()).waitingGetters === 1);
    queue.putSync({ to: 'container' });
    expect((await other.next())[0]).toEqual({ to: 'container' });
    const answer = queue.get({ timeoutMs: 10_000 });
    const putter = start(
      `const queue = open({ create: 'never' }); queue.putSync(process.pid); say('put'); hear(); queue.closeSync();`,
      descriptor,
      [],
      apart,
    );
    expect(await putter.next()).toBe('put');
    expect(bells()).toHaveLength(how === 'awaited' ? 2 : 1);
    await putter.tell('end').clean();
    expect(await answer).toBe(1);
    await other.tell('end').clean();
    queue.closeSync();
    expect(bells()).toEqual([]);
  });

  test('equal pids are not one participant, and their numbers are said to be foreign', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const holders = [0, 1, 2].map(() =>
      start(`const queue = open(); say(process.pid); hear(); queue.closeSync();`, descriptor, [], apart),
    );
    for (const holder of holders) expect(await holder.next()).toBe(1);
    const { attached } = await queue.stats();
    expect(attached!.filter(({ foreign }) => foreign)).toEqual(Array(3).fill({ pid: 1, alive: true, foreign: true }));
    await holders[1]!.kill();
    await until('one is gone', async () => (await queue.stats()).attached!.filter(({ alive }) => alive).length === 3);
    for (const holder of [holders[0]!, holders[2]!]) await holder.tell('end').clean();
    queue.closeSync();
  });

  test('a holder that is stopped for ten seconds keeps what it holds; killed, it gives it back', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putSync('held');
    const holder = start(
      `const queue = open(); const lease = queue.leaseSync(); say(lease.item); setInterval(() => {}, 1000);`,
      descriptor,
      [],
      apart,
    );
    await holder.next();
    holder.signal('SIGSTOP');
    const from = now();
    while (now() - from < 10_000) {
      expect((await errorOf(() => queue.get({ timeoutMs: 500 }))).message).toMatch(/empty/);
    }
    await holder.kill();
    expect(await queue.get({ timeoutMs: 1000 })).toBe('held');
    queue.closeSync();
  });

  test('in another time namespace nobody looks dead', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putSync('held');
    const lease = queue.leaseSync();
    const [codes, attached] = await run(
      `(async () => {
        const queue = open();
        const codes = [];
        for (let count = 0; count < 5; count++) await queue.get({ timeoutMs: 50 }).then(() => codes.push('given away'), ({ code }) => codes.push(code));
        say(codes); say((await queue.stats()).attached.map(({ alive }) => alive)); queue.closeSync();
      })();`,
      descriptor,
      [],
      { wrapper: ['unshare', '--time', '--fork', '--boottime', '1000', '--monotonic', '1000'] },
    );
    expect(codes).toEqual(Array(5).fill('ERR_QUEUE_EMPTY'));
    expect(attached).toEqual([true, true]);
    lease.ackSync();
    queue.closeSync();
  });

  test('the doorbell of a killed process goes with its recovery', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const victims: Child[] = [];
    for (const options of [{}, apart]) {
      const victim = start(`const queue = open(); queue.get(); say(1);`, descriptor, [], options);
      await victim.next();
      victims.push(victim);
    }
    await until('both have a doorbell', () => bells().length === 2);
    for (const victim of victims) await victim.kill();
    await until('they are recovered', async () => {
      await queue.stats();
      return bells().length === 0;
    });
    expect((await queue.stats()).recovered).toBe(2);
    queue.closeSync();
  });

  test('the doorbells of those whom nobody recovers go with prune, and those of the living stay', async () => {
    const descriptor = describeQueue(type);
    const waits = `const queue = open(); queue.get().catch(() => {}); process.stdin.once('data', () => { queue.closeSync(); process.exit(); });`;
    const bystander = start(waits, describeQueue(type), [], apart);
    const victim = start(waits, descriptor, [], apart);
    await until('both have a doorbell', () => bells().length === 2);
    await victim.kill();
    const match = ({ queueId }: SegmentInfo): boolean => queueId === descriptor.queueId;
    expect(pruneSegments({ dryRun: true, match })).toHaveLength(1);
    expect(bells()).toHaveLength(2);
    expect(pruneSegments({ match })).toHaveLength(1);
    expect(bells()).toHaveLength(1);
    await bystander.tell('end').clean();
    expect(bells()).toEqual([]);
  });
});

(containersArePossible ? test : test.skip)('beside eight busy loops nobody alive is taken for dead', async () => {
  const descriptor = describeQueue('sage_queue');
  const queue = attach(descriptor);
  queue.putManySync(['held here', 'held there']);
  const holders: Child[] = [];
  for (const [, options] of places) {
    const holder = start(`const queue = open(); say(queue.leaseSync().item); hear();`, descriptor, [], options);
    await holder.next();
    holders.push(holder);
  }
  const loops = Array.from({ length: 8 }, () => start(`say(1); for (;;);`, null, [], { wrapper: [] }));
  await Promise.all(loops.map((loop) => loop.next()));
  const from = now();
  while (now() - from < 2000) {
    expect((await errorOf(() => queue.get({ timeoutMs: 200 }))).message).toMatch(/empty/);
    expect((await errorOf(() => queue.getSync({ timeoutMs: 50 }))).message).toMatch(/empty/);
  }
  expect((await queue.stats()).attached!.map(({ alive }) => alive)).toEqual([true, true, true]);
  for (const holder of holders) await holder.kill();
  const back = [await queue.get({ timeoutMs: 5000 }), await queue.get({ timeoutMs: 5000 })];
  expect(back.sort()).toEqual(['held here', 'held there']);
  await Promise.all(loops.map((loop) => loop.kill()));
  queue.closeSync();
});

const consumers = containersArePossible ? describe.each(places) : describe.skip.each(places);
consumers('a consumer %s', (_place, options) => {
  test.each(['sync', 'async'] as const)(
    'that waited (%s) before the first foreigner came learns of its death within 100 ms',
    async (how) => {
      const descriptor = describeQueue('sage_queue');
      const queue = attach(descriptor);
      const fifo = makeFifo();
      const survivor = start(survivorOf(how), descriptor, [fifo], options);
      await survivor.next();
      const victim = start(
        `fs.openSync(given[0], 'w'); const queue = open(); hear();
        const claim = queue.claimSync(100); claim.bytes.fill(1); say('claimed'); hear();`,
        descriptor,
        [fifo],
        apart,
      );
      expect(await survivor.next()).toBe('asleep');
      await until('it waits', async () => (await queue.stats()).waitingGetters === 1);
      await until('the other one came', async () => (await queue.stats()).attached!.length === 3);
      await victim.tell('claim').next();
      queue.putSync('behind the claim');
      await victim.kill();
      const [item, lateMs] = await survivor.next();
      expect(item).toBe('behind the claim');
      expect(lateMs).toBeLessThan(BOUND_MS);
      await survivor.tell('end').clean();
      queue.closeSync();
    },
  );
});
