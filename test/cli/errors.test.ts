/** Every error is one line on stderr and a status that is not 0, and costs nothing that was put before. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, expectOneLine, lines, segmentsNamed, shell, start, uniqueName } from './command';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-cli-'));
const name = uniqueName('errors');
const queue = `shm:${name}`;
afterAll(async () => {
  rmSync(directory, { recursive: true });
  expect(segmentsNamed(name)).toEqual([]);
});

test.each([
  [['frobnicate'], /no command 'frobnicate'/],
  [['put'], /put QUEUE \[FILE\] \[options\]\. Try /],
  [['put', queue, 'a', 'b'], /'b'/],
  [['put', queue, '--frob'], /'--frob'/],
  [['put', queue, '--raw'], /--frame-bytes/],
  [['put', queue, '--raw', '--frame-bytes', '0'], /--frame-bytes .*'0'/],
  [['put', queue, '--maxsize', '-1'], /maxsize/],
  [['get', queue, '--timeout-ms', 'soon'], /'soon'/],
  [['get', queue, '--maxsize', '5'], /--maxsize .*--create/],
  [['get', queue, '--follow', '--capacity-bytes', '65536'], /--capacity-bytes .*--create/],
  [['get', 'nothing'], /'nothing' names no queue.*shm:NAME/],
  [['get', 'rpc://127.0.0.1/x'], /rpc:\/\/HOST:PORT\/ID/],
  [['get', 'rpc://127.0.0.1:99999/x'], /port/],
  [['get', '@/nonexistent.json'], /descriptor file/],
  [['rm', 'rpc://127.0.0.1:1/x'], /rm removes/],
  [['demo', '--type', 'local'], /--type/],
  [['demo', '--type', 'rpc', '--with-cpp', 'worker'], /--with-cpp is for --type shm, sage_queue, found rpc/],
  [['demo', '--with-python', '--workers', '1'], /--workers 2/],
  [['put', '{"queue_id":"x","queue_type":"local","metadata":{}}'], /'x' is of type local.*shm: or sage:/],
  [['demo', '--workers', '1', '--kill-a-worker'], /--workers/],
])('%j is a wrong command line: status 2', async (args, message) => {
  const outcome = await command(args);
  expect(outcome).toMatchObject({ status: 2, stdout: Buffer.alloc(0) });
  expectOneLine(outcome.stderr, message);
});

test.each(['get', 'stat', 'rm'])('%s of a queue that is not there fails and makes none', async (verb) => {
  for (const uri of [queue, `sage:${name}`]) {
    const outcome = await command([verb, uri]);
    expect(outcome).toMatchObject({ status: 1, stdout: Buffer.alloc(0) });
    expectOneLine(outcome.stderr, /ERR_QUEUE_NOT_FOUND/);
    expect(outcome.stderr).toContain(name);
  }
  expect(segmentsNamed(name)).toEqual([]);
});

test('a name that no segment can have, and a descriptor that is none', async () => {
  const file = join(directory, 'descriptor.json');
  writeFileSync(file, '{"queue_id":');
  for (const [uri, code] of [
    ['shm:../x', /ERR_SEGMENT_NAME/],
    ['{"queue_id":""}', /ERR_DESCRIPTOR_INVALID/],
    ['{bad', /ERR_DESCRIPTOR_INVALID/],
    [`@${file}`, /ERR_DESCRIPTOR_INVALID/],
  ] as const) {
    const outcome = await command(['get', uri]);
    expect(outcome.status).toBe(2);
    expectOneLine(outcome.stderr, code);
  }
});

test('a line that is not JSON: its number is told, and those before it are in the queue', async () => {
  const outcome = await command(['put', queue, '--ndjson'], '{"a":1}\n\n2\n{"b":\n3\n');
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /line 4 is not JSON.*2 items before it were put/);
  expect(lines(await command(['get', queue]))).toEqual(['{"a":1}', '2']);
});

test('a line that is not UTF-8 is refused, not changed', async () => {
  const outcome = await command(['put', queue], Buffer.from('ok\n\xff\n', 'latin1'));
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /line 2 is not UTF-8/);
  expect(lines(await command(['get', queue]))).toEqual(['ok']);
});

test('an item that can never fit: its line is told, and those before it are in the queue', async () => {
  const outcome = await command(['put', queue, '--capacity-bytes', '65536'], `a\nb\n${'x'.repeat(100_000)}\nc\n`);
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /line 3: .*ERR_ITEM_TOO_LARGE/);
  expect(lines(await command(['get', queue]))).toEqual(['a', 'b']);
});

test('a queue that is shut down takes nothing more', async () => {
  await command(['put', queue, '--shutdown'], 'a\n');
  const outcome = await command(['put', queue], 'b\n');
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /ERR_QUEUE_SHUT_DOWN/);
  expect(lines(await command(['get', queue]))).toEqual(['a']);
});

test('another maxsize than the queue has', async () => {
  await command(['put', queue, '--maxsize', '10'], 'a\n');
  const outcome = await command(['put', queue, '--maxsize', '20'], 'b\n');
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /ERR_QUEUE_CONFIG_MISMATCH/);
  expect(lines(await command(['get', queue]))).toEqual(['a']);
});

test('a timeout that strikes: status 3, for get and for put', async () => {
  const put = await command(['put', queue, '--maxsize', '2', '--timeout-ms', '50'], 'a\nb\nc\n');
  expect(put.status).toBe(3);
  expectOneLine(put.stderr, /no room for 50 ms; 2 items were put/);
  const got = await command(['get', queue, '--count', '3', '--timeout-ms', '50']);
  expect(got.status).toBe(3);
  expect(lines(got)).toEqual(['a', 'b']);
  expectOneLine(got.stderr, /within 50 ms; 2 items were taken/);
});

test('a get that waits, waits for the queue too', async () => {
  const late = await command(['get', queue, '--timeout-ms', '50']);
  expect(late.status).toBe(3);
  expectOneLine(late.stderr, /no queue .* within 50 ms/);
  expect(segmentsNamed(name)).toEqual([]);
  const first = start(['get', queue, '--follow']);
  await new Promise((resolve) => first.child.stderr.once('data', resolve));
  await command(['put', queue, '--shutdown'], 'a\nb\n');
  const followed = await first.outcome;
  expect(followed.status).toBe(0);
  expect(lines(followed)).toEqual(['a', 'b']);
  expectOneLine(followed.stderr, /no queue .* yet/);
});

test('a file that is not there makes no queue; a directory is no input', async () => {
  const missing = await command(['put', queue, join(directory, 'missing')]);
  expect(missing.status).toBe(1);
  expectOneLine(missing.stderr, /cannot be read.*missing/);
  expect(segmentsNamed(name)).toEqual([]);
  const wrong = await command(['put', queue, directory]);
  expect(wrong.status).toBe(1);
  expectOneLine(wrong.stderr, `${directory} cannot be read: it is a directory.`);
  const asInput = await shell(`sq put ${queue} < ${directory}`);
  expect(asInput.status).toBe(1);
  expectOneLine(asInput.stderr, 'Standard input cannot be read: it is a directory.');
  expect(segmentsNamed(name)).toEqual([]);
});

test('input that cannot be read to its end: what it says, and how many items went in', async () => {
  const outcome = await command(['put', queue, '/proc/self/mem']);
  expect(outcome.status).toBe(1);
  expectOneLine(
    outcome.stderr,
    /^sage-queue: \/proc\/self\/mem cannot be read to its end: EIO.*\. 0 items were put\.$/m,
  );
});

test('an rpc queue that nobody serves', async () => {
  const outcome = await command(['get', 'rpc://127.0.0.1:1/x', '--timeout-ms', '2000']);
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /ERR_QUEUE_CONNECTION/);
});

test('an addon that is not there', async () => {
  writeFileSync(join(directory, 'wrong.node'), 'not an addon');
  const running = start(['ls'], { SAGE_QUEUE_ADDON: join(directory, 'wrong.node') });
  const outcome = await running.outcome;
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /ERR_ADDON_MISSING/);
});
