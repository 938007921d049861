/** What an awaited call costs that is answered at once, counted: bytes of the heap and microtasks. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

test('one promise and no async function around it: 230 bytes for a put, 380 for a get with its Buffer, one microtask each', () => {
  const output = execFileSync(
    process.execPath,
    ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256', join(__dirname, 'awaited.cjs')],
    { encoding: 'utf8' },
  );
  const { put, get, order } = JSON.parse(output) as { put: number; get: number; order: string[] };
  expect(put).toBeGreaterThan(0);
  expect(put).toBeLessThan(230);
  expect(get).toBeGreaterThan(0);
  expect(get).toBeLessThan(380);
  expect(order).toEqual(['get', 'put', 'the next microtask']);
});
