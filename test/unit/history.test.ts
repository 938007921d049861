import { checkHistory } from '../history/check-history.cjs';

const GOOD = `
  # two producers, two receivers, one of them killed with an item in its hand
  ack a 0 5
  put a 5 7
  ack b 0 3
  got x a 0 2
  got y b 0 1
  got x b 1 2
  got y a 3 4
  again x a 2 3
  hand b 2 3
  got y a 5 6
  left a 4 5
  most items 4 4
`;

/** What the checker says of that history with more records. */
const problems = (more: string): string[] => checkHistory(`${GOOD}${more}`.split('\n')).problems;

test('a history in which nothing is wrong', () => {
  expect(checkHistory(GOOD.split('\n'))).toEqual({ problems: [], acknowledged: 8, received: 8, inHand: 1 });
});

test.each([
  ['ack a 7 8', 'loss: 7 of stream a went in, and never came out'],
  ['got y a 0 1', 'double: 0 of stream a came out more than once'],
  ['left a 0 1', 'double: 0 of stream a came out more than once'],
  ['again y b 0 1', 'double: 0 of stream b came out more than once'],
  ['got - c 0 1', 'fiction: 0 of stream c came out, and nobody put it'],
  ['ack c 0 2\ngot x c 1 2\ngot x c 0 1', 'order: receiver x got 0 of stream c after 1'],
  ['most bytes 11 10', 'limit: 11 bytes, of 10 at most'],
])('%j breaks a rule', (more, problem) => {
  expect(problems(more)).toContain(problem);
});

test('who knows no order breaks none, and what comes again may come late', () => {
  expect(problems('ack c 0 2\ngot - c 1 2\ngot - c 0 1')).toEqual([]);
  expect(problems('ack c 0 2\ngot x c 1 2\nagain x c 0 1')).toEqual([]);
});

test('what a dead one held may come once more for it, and no oftener', () => {
  const held = 'ack c 0 1\ngot - c 0 1\nheld c 0 1\ngot - c 0 1';
  expect(problems(held)).toEqual([]);
  expect(problems(`${held}\nleft c 0 1`)).toEqual(['double: 0 of stream c came out more than once']);
});

test('of what nobody knows so many may break a rule, and no more', () => {
  expect(problems('allow loss 2\nack c 0 2')).toEqual([]);
  expect(problems('allow loss 2\nack c 0 3')).toHaveLength(3);
  expect(problems('allow double 1\nack c 0 1\ngot - c 0 1\ngot - c 0 1')).toEqual([]);
  expect(problems('allow double 1\nack c 0 1\ngot - c 0 1\ngot - c 0 1\ngot - c 0 1')).toHaveLength(2);
  expect(problems('allow double 9\ngot - c 0 1')).toEqual(['fiction: 0 of stream c came out, and nobody put it']);
});

test('of a rule that is broken often, the first few are told, and how many there are', () => {
  expect(problems('ack c 0 100')).toHaveLength(6);
  expect(problems('ack c 0 100')).toContain('loss: … 95 more');
});

test.each(['get a 0 1', 'allow order 1', 'allow loss 1 2', 'ack a 0', 'ack a 0 x', 'got a 0 1', 'put a -1 2'])(
  '%j is no record',
  (line) => {
    expect(() => checkHistory([line])).toThrow('no record of a history');
  },
);
