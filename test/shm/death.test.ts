import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { attach, describeQueue, drain, errorOf, now, start, types, until } from './child';
import type { Child } from './child';
import { makeFifo, survivorOf } from './mourning';

const random = seeded('death');
const BOUND_MS = 100;

/** Bytes that say who made them, the how manieth they are, and how long. */
const BYTES_OF = `
  const bytesOf = (who, number) => { const bytes = Buffer.alloc(12 + (number * 37) % 200, (who * 31 + number) & 255);
    bytes.writeInt32LE(who); bytes.writeInt32LE(number, 4); bytes.writeInt32LE(bytes.length, 8); return bytes; };`;
/** Says after each put that it is done; a pipe takes lines that short in one piece. */
const PRODUCER = `${BYTES_OF}
  const [who, how] = given;
  (async () => {
    const queue = open();
    for (let number = 0; ; number++) {
      const bytes = bytesOf(who, number);
      if (how === 0) queue.putSync(bytes);
      else if (how === 1) await queue.put(bytes);
      else { const batch = [bytes]; while (batch.length < 5) batch.push(bytesOf(who, ++number)); queue.putManySync(batch); }
      say(['put', number]);
    }
  })();`;
const CONSUMER = `
  const [who, how] = given;
  (async () => {
    const queue = open();
    let sum = 0;
    for (;;) {
      const items = how === 0 ? [queue.getSync()] : how === 1 ? [await queue.get()] : queue.getManySync(4);
      say(['got', ...items.map((bytes) => [bytes.readInt32LE(0), bytes.readInt32LE(4),
        bytes.readInt32LE(8) === bytes.length && bytes.subarray(12).every((byte) => byte === ((bytes.readInt32LE(0) * 31 + bytes.readInt32LE(4)) & 255))])]);
    }
  })();`;

describe.each(types)('%s', (type) => {
  test('who was killed asleep is not counted among those who wait', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const sleepers = ['queue.getSync()', 'await queue.get()'].map((get) =>
      start(`(async () => { const queue = open(); ${get}; })();`, descriptor),
    );
    await until('both wait', async () => (await queue.stats()).waitingGetters === 2);
    for (const sleeper of sleepers) await sleeper.kill();
    expect((await queue.stats()).waitingGetters).toBe(0);
    queue.closeSync();
  });

  test.each(['sync', 'async'] as const)(
    'the holder of the only item is killed while every consumer (%s) sleeps: one of them gets it within 100 ms',
    async (how) => {
      const descriptor = describeQueue(type);
      const keeper = attach(descriptor);
      const lateness: number[] = [];
      for (let round = 0; round < 4; round++) {
        const fifo = makeFifo();
        // A reader that ends with a death: the fifo has one per survivor, and one writer.
        const survivors = [0, 1].map(() => start(survivorOf(how), descriptor, [fifo]));
        await Promise.all(survivors.map((survivor) => survivor.next()));
        const victim = start(
          `const queue = open(); queue.putSync(given[1]); const lease = queue.leaseSync();
          fs.openSync(given[0], 'w'); say(lease.item); hear();`,
          descriptor,
          [fifo, round],
        );
        expect(await victim.next()).toBe(round);
        await Promise.all(survivors.map((survivor) => survivor.next()));
        await until('both asleep', async () => (await keeper.stats()).waitingGetters === 2);
        victim.signal('SIGKILL');
        const first = survivors.map((survivor) => survivor.next().then((line) => ({ survivor, line })));
        const { survivor, line } = await Promise.race(first);
        expect(line[0]).toBe(round);
        lateness.push(line[1]);
        // The other still sleeps, and an item wakes it.
        keeper.putSync('other');
        const other = survivors.find((one) => one !== survivor)!;
        expect((await (await first[survivors.indexOf(other)]!).line)[0]).toBe('other');
        for (const one of survivors) await one.tell('end').clean();
      }
      // Load delays some deaths, the package's own lateness all of them.
      expect(Math.min(...lateness)).toBeLessThan(BOUND_MS);
      expect(lateness.filter((ms) => ms > 5 * BOUND_MS)).toEqual([]);
      keeper.closeSync();
    },
  );

  test('workers killed at random while they put and get: nothing committed is lost, nothing is torn, nothing comes twice', async () => {
    const descriptor = describeQueue(type, { maxsize: 16, capacityBytes: 4096 });
    const keeper = attach<Buffer>(descriptor);
    const kills = 36;
    const history = new History();
    const said = new Map<number, number>(); // how many `who` said are in
    let received = 0;
    const record = ([who, number, isWhole]: [number, number, boolean]): void => {
      expect(isWhole).toBe(true);
      received++;
      history.got('-', String(who), number, number + 1);
    };
    const follow = async (child: Child, who: number): Promise<void> => {
      try {
        for (;;) {
          const [what, ...rest] = await child.next();
          if (what === 'put') said.set(who, rest[0] + 1);
          else rest.forEach(record);
        }
      } catch {
        // Killed.
      }
    };
    const alive: { child: Child; followed: Promise<void>; isProducer: boolean }[] = [];
    let producers = 0;
    const add = (isProducer: boolean): void => {
      const who = isProducer ? producers++ : -1;
      const child = start(isProducer ? PRODUCER : CONSUMER, descriptor, [who, random.below(3)]);
      alive.push({ child, followed: follow(child, who), isProducer });
    };
    for (const isProducer of [true, true, false, false]) add(isProducer);
    let progressed = 0;
    for (let count = 0; count < kills; count++) {
      await until('progress after a death', () => received > progressed);
      progressed = received;
      const index = random.below(alive.length);
      const [{ child, followed, isProducer }] = alive.splice(index, 1) as [(typeof alive)[number]];
      await child.kill();
      await followed;
      add(isProducer);
    }
    for (const { child, followed } of alive) {
      await child.kill();
      await followed;
    }
    // What is left, without anybody else.
    for (const bytes of drain(keeper)) {
      record([bytes.readInt32LE(0), bytes.readInt32LE(4), bytes.readInt32LE(8) === bytes.length]);
    }
    const { recovered, redelivered } = await keeper.stats();
    expect(recovered).toBeGreaterThan(0);
    // The killed producer was in a put of up to five items, and had not said so.
    for (let who = 0; who < producers; who++) {
      const sure = said.get(who) ?? 0;
      history.ack(String(who), 0, sure);
      history.put(String(who), sure, sure + 5);
    }
    // A consumer killed after it took items may have lost those it had not yet said; a killed one has at most one batch.
    history.allow('loss', 4 * (kills + 4));
    // Twice comes only what went back from a dead consumer.
    history.allow('double', redelivered!);
    expect(history.result().problems).toEqual([]);
    keeper.closeSync();
  });

  test('everybody asleep, putters for want of room: killing the one that was woken does not strand the others', async () => {
    const descriptor = describeQueue(type, { maxsize: 1 });
    const keeper = attach(descriptor);
    keeper.putSync('first');
    const putters = [0, 1, 2].map((who) =>
      start(
        who === 1
          ? `(async () => { const queue = open(); await queue.put(given[0]); say('done'); })();`
          : `const queue = open(); queue.putSync(given[0]); say('done'); queue.closeSync();`,
        descriptor,
        [who],
      ),
    );
    await until('all asleep', async () => (await keeper.stats()).waitingPutters === 3);
    // Stopped processes cannot use a wake; one of them is then killed with it.
    putters[0]!.signal('SIGSTOP');
    putters[1]!.signal('SIGSTOP');
    expect(keeper.getSync()).toBe('first');
    await putters[0]!.kill();
    expect(await putters[2]!.next()).toBe('done');
    expect(keeper.getSync({ timeoutMs: 1000 })).toBe(2);
    putters[1]!.signal('SIGCONT');
    expect(await putters[1]!.next()).toBe('done');
    expect(keeper.getSync({ timeoutMs: 1000 })).toBe(1);
    await Promise.all([putters[1]!.clean(), putters[2]!.clean()]);
    expect(keeper.qsizeSync()).toBe(0);
    keeper.closeSync();
  });

  test('a stopped process is not taken for dead: others return in time, and what it held is its own when it goes on', async () => {
    const descriptor = describeQueue(type, { maxsize: 4 });
    const keeper = attach(descriptor);
    keeper.putManySync(['leased', 'next']);
    const stopped = start(
      `const queue = open();
      const lease = queue.leaseSync();
      ${type === 'sage_queue' ? "const claim = queue.claimSync(1); claim.bytes[0] = 65; say('holds'); hear(); claim.commit();" : "say('holds'); hear();"}
      lease.ackSync(); say(lease.item); queue.closeSync();`,
      descriptor,
    );
    await stopped.next();
    stopped.signal('SIGSTOP');
    const doomed = start(`const queue = open(); const lease = queue.leaseSync(); say(lease.item); hear();`, descriptor);
    expect(await doomed.next()).toBe('next');
    await doomed.kill();
    expect(keeper.getSync({ timeoutMs: 1000 })).toBe('next');
    const from = now();
    expect((await errorOf(() => keeper.getSync({ timeoutMs: 30 }))).code).toBe('ERR_QUEUE_EMPTY');
    expect((await errorOf(() => keeper.get({ signal: AbortSignal.timeout(30) }))).name).toBe('TimeoutError');
    const stats = await keeper.stats();
    // This one and the stopped one, whatever number that has in its own namespace.
    expect(stats.attached!.map(({ alive }) => alive)).toEqual([true, true]);
    const second = attach(descriptor);
    second.closeSync();
    expect(now() - from).toBeLessThan(2000);
    if (type === 'sage_queue') {
      // Behind the stopped one's claim nothing can be had, and nobody hangs on it.
      keeper.putSync('behind');
      expect((await errorOf(() => keeper.getSync({ block: false }))).code).toBe('ERR_QUEUE_EMPTY');
    }
    stopped.signal('SIGCONT').tell('go on');
    expect(await stopped.clean()).toEqual(['leased']);
    const rest = type === 'sage_queue' ? keeper.getManySync(9, { timeoutMs: 0 }) : [];
    expect(rest.map(String)).toEqual(type === 'sage_queue' ? ['A', 'behind'] : []);
    keeper.closeSync();
  });
});

test('a claim of a killed process is passed over by sleeping consumers within 100 ms', async () => {
  const descriptor = describeQueue('sage_queue');
  const keeper = attach(descriptor);
  const fifo = makeFifo();
  const survivor = start(survivorOf('sync'), descriptor, [fifo]);
  await survivor.next();
  const victim = start(
    `fs.openSync(given[0], 'w'); const queue = open(); const claim = queue.claimSync(100); claim.bytes.fill(1); say('claimed'); hear();`,
    descriptor,
    [fifo],
  );
  await victim.next();
  await survivor.next();
  keeper.putSync('behind the claim');
  expect(keeper.qsizeSync()).toBe(1);
  expect((await errorOf(() => keeper.getSync({ timeoutMs: 50 }))).code).toBe('ERR_QUEUE_EMPTY');
  victim.signal('SIGKILL');
  const [item, lateMs] = await survivor.next();
  expect(item).toBe('behind the claim');
  expect(lateMs).toBeLessThan(BOUND_MS);
  await survivor.tell('end').clean();
  expect((await keeper.stats()).recovered).toBe(1);
  keeper.closeSync();
});
