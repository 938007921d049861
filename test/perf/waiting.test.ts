/** Calls that wait write down of themselves what V8 knows the shape of: each with a shape of its own took local's 2.7 µs an item instead of 0.9. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

test('what waiting calls write down of themselves is of one shape, or of two where several puts are one call', () => {
  const output = execFileSync(process.execPath, ['--allow-natives-syntax', join(__dirname, 'waiting.cjs')], {
    encoding: 'utf8',
  });
  const { local, sage_queue: shared } = JSON.parse(output) as Record<string, { waited: number; shapes: number }>;
  expect(local!.waited).toBeGreaterThanOrEqual(1500);
  expect(local!.shapes).toBeLessThanOrEqual(2);
  expect(shared!.waited).toBeGreaterThanOrEqual(1500);
  expect(shared!.shapes).toBeLessThanOrEqual(2);
});
