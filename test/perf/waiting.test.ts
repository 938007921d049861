/** What a waiting call writes down of itself has a shape that V8 knows: to look at an object of a shape of its own costs it some 2 µs. */
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
