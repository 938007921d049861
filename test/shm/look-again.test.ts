import { LookAgain } from '../../lib/transports/shm/look-again';
import { attach, describeQueue, run, start, types } from './child';

/** A clock, and turns of an event loop, that go on when the test says so. */
class Loop {
  ms = 1000;
  private readonly next: (() => void)[] = [];
  private readonly ticks: (() => void)[] = [];

  constructor() {
    jest.spyOn(performance, 'now').mockImplementation(() => this.ms);
    jest.spyOn(process, 'nextTick').mockImplementation(((callback: () => void) => this.ticks.push(callback)) as never);
    jest
      .spyOn(global, 'setImmediate')
      .mockImplementation(((callback: () => void) => this.next.push(callback)) as never);
  }

  /** What comes when no promise has anything to do. */
  tick(): void {
    for (const callback of this.ticks.splice(0)) callback();
  }

  /** One turn, which takes so long. */
  turn(ms = 0): void {
    this.ms += ms;
    for (const callback of this.next.splice(0)) callback();
    this.tick();
  }

  get idle(): boolean {
    return this.next.length === 0;
  }
}

/** Waits that begin when the test says so; each attempt takes a microsecond, and succeeds at the time `answered`. */
class Waits {
  answered = Infinity;
  asleep = 0;
  attempts = 0;
  readonly look: LookAgain;

  constructor(readonly loop: Loop) {
    const attempt = (): boolean => {
      this.attempts++;
      loop.ms += 0.001;
      return loop.ms >= this.answered;
    };
    this.look = new LookAgain(attempt, () => this.asleep++);
  }

  /** A wait, as far as its look on the spot. */
  begin(): boolean {
    const looks = this.look.begin();
    this.loop.tick();
    return looks;
  }

  /** A wait until it is answered or sleeps. Returns how long it looked. */
  wait(answeredAfter = Infinity): number {
    const before = this.loop.ms;
    this.answered = before + answeredAfter;
    if (!this.begin()) this.asleep++;
    while (!this.loop.idle) this.loop.turn(0.002);
    return this.loop.ms - before;
  }
}

describe('looking again before sleeping', () => {
  let waits: Waits;
  beforeEach(() => (waits = new Waits(new Loop())));
  afterEach(() => {
    while (!waits.loop.idle) waits.loop.turn();
    jest.restoreAllMocks();
  });

  test('promises go before the first look, however long they take', () => {
    expect(waits.look.begin()).toBe(true);
    expect(waits.attempts).toBe(0);
    waits.loop.ms += 1;
    waits.loop.tick();
    expect(waits.attempts).toBeGreaterThan(10);
    waits.answered = waits.loop.ms;
    waits.loop.turn();
    expect([waits.asleep, waits.loop.idle]).toEqual([0, true]);
    // It was answered 20 µs after it began to look: the next one looks too.
    expect(waits.begin()).toBe(true);
    waits.look.stop();
  });

  test('a wait that is over before its look takes none; the one after it has its own', () => {
    waits.look.begin();
    waits.look.stop();
    waits.loop.tick();
    expect(waits.attempts).toBe(0);
    waits.look.begin();
    waits.look.stop();
    waits.look.begin();
    waits.answered = waits.loop.ms;
    waits.loop.tick();
    expect(waits.attempts).toBe(1);
    waits.loop.turn();
    expect([waits.attempts, waits.asleep, waits.loop.idle]).toEqual([1, 0, true]);
  });

  test('what is answered within microseconds is met on the spot', () => {
    waits.begin();
    expect(waits.attempts).toBeGreaterThan(10);
    waits.look.stop();
    waits.loop.turn();
    waits.answered = waits.loop.ms + 0.01;
    expect(waits.begin()).toBe(true);
    expect(waits.loop.ms).toBeLessThan(waits.answered + 0.002);
    waits.loop.turn();
    expect([waits.asleep, waits.loop.idle]).toEqual([0, true]);
  });

  test('the loop is held up by 20 µs in one turn, by however many waits', () => {
    const others = Array.from({ length: 10 }, () => new Waits(waits.loop));
    const before = waits.loop.ms;
    for (const other of others) other.begin();
    expect(waits.loop.ms - before).toBeLessThan(0.023);
    waits.loop.turn();
    const later = waits.loop.ms;
    for (const other of others) other.begin();
    expect(waits.loop.ms - later).toBeGreaterThan(0.015);
    for (const other of others) other.look.stop();
  });

  test('what takes longer is looked for between the turns, up to 50 µs', () => {
    waits.wait(0.04);
    expect(waits.asleep).toBe(0);
    expect(waits.wait()).toBeLessThan(0.06);
    expect(waits.asleep).toBe(1);
  });

  test('silence costs 200 µs at most; then one wait in 32 looks, until one is answered again', () => {
    let spent = 0;
    for (let wait = 0; wait < 4; wait++) spent += waits.wait();
    expect(spent).toBeLessThan(0.24); // four times 50 µs, and what the last turn of each takes
    const looked = Array.from({ length: 64 }, () => waits.wait() > 0);
    expect(looked.filter(Boolean)).toHaveLength(2);
    while (waits.wait(0.01) === 0);
    expect(waits.wait()).toBeGreaterThan(0.04);
  });

  test('one that was off its core looks no more: the core is wanted', () => {
    waits.begin();
    waits.loop.turn(1);
    waits.loop.turn();
    expect(waits.asleep).toBe(1);
    expect(waits.wait()).toBe(0);
  });

  test('a wait that ended otherwise is not looked for any more', () => {
    waits.begin();
    waits.look.stop();
    const { attempts } = waits;
    waits.loop.turn();
    waits.loop.turn();
    expect([waits.attempts, waits.asleep, waits.loop.idle]).toEqual([attempts, 0, true]);
  });
});

test('a look comes when no promise has anything to do', async () => {
  const order: string[] = [];
  const look = new LookAgain(
    () => order.push('look') > 0,
    () => order.push('asleep'),
  );
  await Promise.resolve();
  look.begin();
  for (let n = 0; n < 10; n++) await Promise.resolve();
  order.push('promises');
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual(['promises', 'look']);
});

test.each(types)('%s: messages to and fro leave timers and files their turns', async (type) => {
  const [there, back] = [describeQueue(type), describeQueue(type)];
  const echo = start(
    `const back = sq.resolveDescriptor(given[0]); const there = open();
    (async () => { try { for (;;) await back.put(await there.get()); } catch (error) { say(error.code); } there.closeSync(); back.closeSync(); })();`,
    there,
    [back],
  );
  const [[trips, ticks, files]] = await run(
    `const back = sq.resolveDescriptor(given[0]); const there = open();
    (async () => {
      let ticks = 0, files = 0, trips = 0;
      const timer = setInterval(() => ticks++, 1);
      const read = () => fs.stat('/', () => { files++; if (now() < until) read(); });
      await there.put(0); await back.get();
      const until = now() + 500;
      read();
      while (now() < until) { await there.put(trips++); await back.get(); }
      clearInterval(timer);
      await there.shutdown();
      there.closeSync(); back.closeSync();
      say([trips, ticks, files]);
    })();`,
    there,
    [back],
  );
  expect(trips).toBeGreaterThan(100);
  expect(ticks).toBeGreaterThan(50);
  expect(files).toBeGreaterThan(50);
  expect(await echo.clean()).toEqual(['ERR_QUEUE_SHUT_DOWN']);
});

test.each(types)(
  '%s: a put looks for room where little is left to get, and sleeps at once where there is plenty',
  async (type) => {
    const asleep = async (items: number): Promise<number> => {
      const queue = attach<number>(describeQueue(type, { maxsize: items }));
      expect(queue.putManySync(Array.from({ length: items }, (_, n) => n))).toBe(items);
      const waiting = queue.put(items);
      const { waitingPutters = 0 } = await queue.stats(); // as they were when it was asked
      expect(queue.getSync()).toBe(0);
      await waiting;
      queue.unlinkSync();
      queue.closeSync();
      return waitingPutters;
    };
    expect([await asleep(1), await asleep(1023), await asleep(1024)]).toEqual([0, 0, 1]);
  },
);
