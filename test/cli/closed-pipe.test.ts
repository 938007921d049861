/** A reader that leaves early takes nothing with it that it did not ask for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, expectOneLine, itemsIn, lines, segmentsNamed, shell, uniqueName } from './command';

const name = uniqueName('closed-pipe');
const queue = `shm:${name}`;
afterAll(() => expect(segmentsNamed(name)).toEqual([]));

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

test('get | head -1: one line of complaint, status 141, and what the pipe did not take is still there, in order', async () => {
  await command(['put', queue, '--maxsize', '5000'], `${numbers(0, 5000).join('\n')}\n`);
  const outcome = await shell(`sq get ${queue} | head -1; echo "status \${PIPESTATUS[0]}"`);
  expect(lines(outcome)).toEqual(['0', 'status 141']);
  expectOneLine(outcome.stderr, /reader of the output has gone; \d+ items were written/);
  const written = itemsIn(outcome.stderr);
  expect(written).toBeGreaterThanOrEqual(1);
  // It stops long before the pipe is full.
  expect(written).toBeLessThan(500);
  expect(lines(await command(['get', queue]))).toEqual(numbers(written, 5000));
});

test('a reader that never reads: nothing is lost', async () => {
  await command(['put', queue, '--maxsize', '5000'], `${numbers(0, 5000).join('\n')}\n`);
  // `true` may end before the first write or after some: what was written is what is missing.
  const outcome = await shell(`sq get ${queue} | true; echo "status \${PIPESTATUS[0]}"`);
  expect(lines(outcome)).toEqual(['status 141']);
  const written = itemsIn(outcome.stderr);
  expect(lines(await command(['get', queue]))).toEqual(numbers(written, 5000));
});

test('a reader that is slow gets everything', async () => {
  await command(['put', queue, '--maxsize', '5000'], `${numbers(0, 5000).join('\n')}\n`);
  const outcome = await shell(
    `sq get ${queue} | (head -c 10 >/dev/null; sleep 0.2; tail -1); echo "status \${PIPESTATUS[0]}"`,
  );
  expect(lines(outcome)).toEqual(['4999', 'status 0']);
});

test('a full disk behind stdout: an error, and the items stay', async () => {
  await command(['put', queue], 'a\nb\n');
  const outcome = await shell(`sq get ${queue} > /dev/full; echo "status $?"`);
  expect(lines(outcome)).toEqual(['status 1']);
  expectOneLine(outcome.stderr, /The output could not be written: ENOSPC.*\. 0 items were written, the rest stays in/);
  expect(lines(await command(['get', queue]))).toEqual(['a', 'b']);
});

test('a full disk behind the output of the other commands is an error too', async () => {
  const own = mkdtempSync(join(tmpdir(), 'sage-queue-cli-')); // a damaged segment of somebody else's would be complained of as well
  try {
    for (const call of ['ls', 'doctor --json', '--help', 'prune --dry-run']) {
      const outcome = await shell(`SAGE_QUEUE_DIR=${own} sq ${call} > /dev/full`);
      expect(outcome.status).toBe(1);
      expect(outcome.stderr).toMatch(/^sage-queue: The output could not be written: ENOSPC.*\n$/);
    }
  } finally {
    rmSync(own, { recursive: true });
  }
});

test('the other commands end quietly when nobody reads', async () => {
  const outcome = await shell('sq ls | true; sq --help | true; sq top --interval-ms 10 | true; echo done');
  expect(lines(outcome)).toEqual(['done']);
  expect(outcome.stderr).not.toMatch(/\n\s+at /);
});
