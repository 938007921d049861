/** Calls that are answered at once let the loop go on after some, or after some time. */
import { isTurnOver, nextTurn, refused } from '../../lib/wait/fairness';

let now = 1000;
beforeEach(async () => {
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  await nextTurn();
});
afterEach(() => jest.restoreAllMocks());

test('after so many answers the turn is over, until the next one', async () => {
  expect(isTurnOver(500)).toBe(false);
  expect(isTurnOver(12)).toBe(false);
  expect(isTurnOver(1)).toBe(true);
  expect(isTurnOver(0)).toBe(true);
  await nextTurn();
  expect(isTurnOver(512)).toBe(false);
});

test('answers that take long end it earlier', async () => {
  now += 11;
  expect(isTurnOver(63)).toBe(false); // the clock is not asked yet
  expect(isTurnOver(1)).toBe(true);
  expect(isTurnOver(0)).toBe(true);
  await nextTurn();
  expect(isTurnOver(64)).toBe(false);
  now += 9;
  expect(isTurnOver(64)).toBe(false);
  now += 2;
  expect(isTurnOver(63)).toBe(false);
  expect(isTurnOver(1)).toBe(true);
  await nextTurn();
  expect(isTurnOver(64)).toBe(false);
});

test('a refusal waits for the next turn when this one is over, and only then', async () => {
  let turns = 0;
  setImmediate(() => turns++);
  await expect(refused(new Error('no'))).rejects.toThrow('no');
  expect(turns).toBe(0);
  isTurnOver(512);
  await expect(refused(new Error('no'))).rejects.toThrow('no');
  expect(turns).toBe(1);
});
