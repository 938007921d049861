/** Calls that are answered at once let the loop go on after some. */
import { isTurnOver, nextTurn } from '../../lib/wait/fairness';

test('after so many answers the turn is over, until the next one', async () => {
  await nextTurn();
  expect(isTurnOver(500)).toBe(false);
  expect(isTurnOver(12)).toBe(false);
  expect(isTurnOver(1)).toBe(true);
  expect(isTurnOver(0)).toBe(true);
  await nextTurn();
  expect(isTurnOver(512)).toBe(false);
});
