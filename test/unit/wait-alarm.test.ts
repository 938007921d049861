/** Points in time: a timer that never rings early, that can be set anew, and that keeps the process only when told to. */
import { Alarm, answerWithin, deadlineOf, LONGEST_TIMER_MS, remainingMs, restOf } from '../../lib/wait/deadline';
import { FOR_EVER } from '../../lib/wait/options';

/** The timers that were armed: delay, and whether they hold the process. */
interface Armed {
  delay: number;
  referenced: boolean;
  cleared: boolean;
  ring(): void;
}

let now = 1000;
let armed: Armed[] = [];

beforeEach(() => {
  now = 1000;
  armed = [];
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(((ring: () => void, delay: number) => {
    const timer: Armed & { ref(): void; unref(): void } = {
      delay,
      ring,
      referenced: true,
      cleared: false,
      ref: () => (timer.referenced = true),
      unref: () => (timer.referenced = false),
    };
    armed.push(timer);
    return timer;
  }) as unknown as typeof setTimeout);
  jest.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    if (timer !== undefined) (timer as unknown as Armed).cleared = true;
  });
});

afterEach(() => jest.restoreAllMocks());

test('a deadline and what is left until it', () => {
  expect(deadlineOf({ timeoutMs: 50 })).toBe(1050);
  expect(deadlineOf({ timeoutMs: Infinity })).toBe(Infinity);
  expect(remainingMs(1050)).toBe(50);
  expect(remainingMs(900)).toBe(0);
  expect(remainingMs(Infinity)).toBe(Infinity);
  const { signal } = new AbortController();
  expect(restOf({ timeoutMs: 80, signal }, 1030)).toEqual({ timeoutMs: 30, signal });
  expect(restOf(FOR_EVER, Infinity)).toBe(FOR_EVER);
});

test('it rings once its time has come, never early, however early its timer fires', () => {
  const ring = jest.fn();
  void new Alarm(1050, ring);
  expect(armed).toMatchObject([{ delay: 50, referenced: false }]);
  now = 1049.5;
  armed[0]!.ring();
  expect(ring).not.toHaveBeenCalled();
  expect(armed).toMatchObject([{}, { delay: 1, referenced: false }]);
  now = 1050;
  armed[1]!.ring();
  expect(ring).toHaveBeenCalledTimes(1);
  expect(armed).toHaveLength(2);
});

test('a delay that Node cannot count is waited for in parts', () => {
  const ring = jest.fn();
  void new Alarm(1000 + 2 * LONGEST_TIMER_MS, ring);
  expect(armed[0]!.delay).toBe(LONGEST_TIMER_MS);
  now += LONGEST_TIMER_MS;
  armed[0]!.ring();
  expect(ring).not.toHaveBeenCalled();
  expect(armed[1]!.delay).toBe(LONGEST_TIMER_MS);
});

test('never needs no timer, at first and when it is set', () => {
  const alarm = new Alarm(Infinity, jest.fn());
  expect(armed).toHaveLength(0);
  alarm.set(1010);
  expect(armed).toMatchObject([{ delay: 10, cleared: false }]);
  alarm.set(1030);
  expect(armed).toMatchObject([{ cleared: true }, { delay: 30, cleared: false }]);
  now = 1010;
  armed[1]!.ring();
  expect(armed[2]!.delay).toBe(20); // of the new deadline
  alarm.set(Infinity);
  expect(armed).toHaveLength(3);
  expect(armed[2]!.cleared).toBe(true);
});

test('it holds the process when told to, also once it is armed anew', () => {
  const alarm = new Alarm(1050, jest.fn(), true);
  expect(armed[0]!.referenced).toBe(true);
  alarm.setReferenced(false);
  expect(armed[0]!.referenced).toBe(false);
  alarm.setReferenced(true);
  expect(armed[0]!.referenced).toBe(true);
  armed[0]!.ring();
  expect(armed[1]!.referenced).toBe(true);
  alarm.setReferenced(false);
  armed[1]!.ring();
  expect(armed[2]!.referenced).toBe(false);
  alarm.cancel();
  expect(armed[2]!.cleared).toBe(true);
});

test('an answer is waited for so long, by a timer that keeps the process and goes with it', async () => {
  const late = (): Error => new Error('late');
  expect(await answerWithin(20, Promise.resolve(7), late)).toBe(7);
  await expect(answerWithin(20, Promise.reject(new Error('broke')), late)).rejects.toThrow('broke');
  const silent = answerWithin(20, new Promise(() => {}), late);
  expect(armed.map(({ delay, referenced, cleared }) => ({ delay, referenced, cleared }))).toEqual([
    { delay: 20, referenced: true, cleared: true },
    { delay: 20, referenced: true, cleared: true },
    { delay: 20, referenced: true, cleared: false },
  ]);
  now = 1020;
  armed[2]!.ring();
  await expect(silent).rejects.toThrow('late');
});
