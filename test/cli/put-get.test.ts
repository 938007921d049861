/** What goes in with put comes out with get, byte for byte. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, lines, segmentsNamed, uniqueName } from './command';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-cli-'));
const name = uniqueName('put-get');
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await command(['rm', `shm:${name}`]);
  expect(segmentsNamed(name)).toEqual([]);
});

describe.each([`shm:${name}`, `sage:${name}`])('%s', (queue) => {
  test('lines are strings, a last one without a newline counts, and nothing but data is on stdout', async () => {
    const text = 'first\n\n  three \r\nf\u00fcnf \u{1f600}\ufeff\nlast';
    expect(await command(['put', queue], text)).toMatchObject({ status: 0, stderr: '', stdout: Buffer.alloc(0) });
    expect(await command(['get', queue])).toMatchObject({ status: 0, stderr: '', stdout: Buffer.from(`${text}\n`) });
  });

  test('JSON lines come back as they went in', async () => {
    const values = ['{"a":[1,2,{"b":null}]}', '"text"', '0', 'false', 'null', '[]', '1.5e+300'];
    expect((await command(['put', queue, '--ndjson'], `\ufeff${values.join('\n\n')}`)).status).toBe(0);
    expect(lines(await command(['get', queue, '--ndjson']))).toEqual(values);
  });

  test('integers keep their digits, however many', async () => {
    const values = [
      '9007199254740993',
      '{"id":-9007199254740993,"in":["\\"9007199254740993",123456789012345678901234567890,1.5]}',
      '[9007199254740991,1e+300,"12345678901234567890"]',
    ];
    expect((await command(['put', queue, '--ndjson'], values.join('\n'))).status).toBe(0);
    expect(lines(await command(['get', queue, '--ndjson']))).toEqual(values);
  });

  test.each(['1E400', '{"deep":[-1e999]}', '1e-400'])(
    '%s, which no number holds, stops at its line',
    async (number) => {
      const put = await command(['put', queue, '--ndjson'], `{"a":1}\n${number}\n2\n`);
      expect(put.status).not.toBe(0);
      expect(put.stderr).toMatch(/line 2 holds a number that would change/);
      expect(lines(await command(['get', queue, '--ndjson']))).toEqual(['{"a":1}']);
    },
  );

  test('without --ndjson text is a line and other values are JSON', async () => {
    await command(['put', queue, '--ndjson'], '{"a":1}\n"plain"\n7\n');
    expect(lines(await command(['get', queue]))).toEqual(['{"a":1}', 'plain', '7']);
  });

  test('frames of bytes, the last one shorter, add up to the file', async () => {
    const bytes = randomBytes(300_001);
    const file = join(directory, 'bytes');
    writeFileSync(file, bytes);
    expect((await command(['put', queue, file, '--raw', '--frame-bytes', '4095'])).status).toBe(0);
    const stat = JSON.parse((await command(['stat', queue, '--json'])).stdout.toString()) as { qsize: number };
    expect(stat.qsize).toBe(Math.ceil(bytes.length / 4095));
    const { stdout } = await command(['get', queue]);
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('more than the queue holds flows through it, in order, until it is shut down', async () => {
    const numbers = Array.from({ length: 30_000 }, (_, index) => `item ${index}`);
    // The reader is there first and makes the queue.
    const got = command(['get', queue, '--follow', '--create', '--maxsize', '100']);
    const put = await command(['put', queue, '--maxsize', '100', '--shutdown'], `${numbers.join('\n')}\n`);
    expect(put).toMatchObject({ status: 0, stderr: '' });
    const outcome = await got;
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(lines(outcome)).toEqual(numbers);
  });

  test('--count takes so many and leaves the rest', async () => {
    await command(['put', queue], 'a\nb\nc\nd\n');
    expect(lines(await command(['get', queue, '--count', '3']))).toEqual(['a', 'b', 'c']);
    expect(lines(await command(['get', queue]))).toEqual(['d']);
  });

  test('a queue that is shut down is drained, and ends with status 0 also where --count was not reached', async () => {
    await command(['put', queue, '--shutdown'], 'a\nb\n');
    const outcome = await command(['get', queue, '--count', '5', '--timeout-ms', '5000']);
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(lines(outcome)).toEqual(['a', 'b']);
  });
});

test('a descriptor, as text or in a file, names the queue too', async () => {
  const descriptor = {
    queue_id: 'any',
    queue_type: 'shm',
    metadata: { shm_name: name, maxsize: 7 },
    created_timestamp: 1.5,
    can_serialize: true,
  };
  const file = join(directory, 'descriptor.json');
  writeFileSync(file, JSON.stringify(descriptor));
  expect((await command(['put', `@${file}`], 'x\n')).status).toBe(0);
  const { stdout } = await command(['stat', JSON.stringify(descriptor), '--json']);
  expect(JSON.parse(stdout.toString())).toMatchObject({ queueType: 'shm', qsize: 1, maxsize: 7 });
  expect(lines(await command(['get', `shm:${name}`]))).toEqual(['x']);
});
