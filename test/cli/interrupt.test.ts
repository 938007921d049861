/** Ctrl-C: what a command holds goes back, and the status is 130. */
import { command, expectOneLine, itemsIn, lines, listed, segmentsNamed, start, uniqueName, until } from './command';
import { getSageQueue } from '../../lib';
import type { Queue } from '../../lib';

const name = uniqueName('interrupt');
const queue = `shm:${name}`;
const attachTo = (id: string, maxsize?: number): Queue => getSageQueue(id, { maxsize });
afterAll(() => expect(segmentsNamed(name)).toEqual([]));

test('a put that waits for room says how many went in', async () => {
  const { child, outcome } = start(['put', queue, '--maxsize', '10']);
  child.stdin.end(Array.from({ length: 50 }, (_, index) => `${index}\n`).join(''));
  await until('the queue is full', async () => (await listed(queue))?.qsize === 10);
  child.kill('SIGINT');
  const { status, stderr } = await outcome;
  expect(status).toBe(130);
  expectOneLine(stderr, /interrupted; 10 items were put/);
  expect(lines(await command(['get', queue]))).toEqual(Array.from({ length: 10 }, (_, index) => String(index)));
});

test('a put that waits for input ends too', async () => {
  const { child, outcome } = start(['put', queue]);
  child.stdin.write('a\n');
  await until('the item is in', async () => (await listed(queue))?.qsize === 1);
  child.kill('SIGTERM');
  expect((await outcome).status).toBe(143);
  expect(lines(await command(['get', queue]))).toEqual(['a']);
});

test('a get that follows an empty queue', async () => {
  const { child, outcome } = start(['get', queue, '--follow', '--create']);
  await until('it is attached', async () => (await listed(queue)) !== undefined);
  child.kill('SIGINT');
  const { status, stderr, stdout } = await outcome;
  expect(status).toBe(130);
  expect(stdout).toHaveLength(0);
  expectOneLine(stderr, /interrupted; 0 items were written/);
});

test('a get that waits for its queue', async () => {
  const { child, outcome } = start(['get', queue, '--follow']);
  await new Promise((resolve) => child.stderr.once('data', resolve));
  child.kill('SIGINT');
  const told = await outcome;
  expect(told).toMatchObject({ status: 130, signal: null });
  expectOneLine(told.stderr.split('\n').slice(1).join('\n'), 'interrupted.');
});

test('a redrive that waits for room says how many are back, and leaves the rest in order', async () => {
  const [jobs, dead] = [attachTo(name, 2), attachTo(`${name}.dead`)];
  const letter = (item: number): unknown => ({ item, error: { name: 'Error' }, queue: jobs.descriptor.toJSON() });
  await dead.putMany([0, 1, 2, 3, 4].map(letter));
  const { child, outcome } = start(['redrive', `sage:${name}.dead`]);
  await until('the queue is full', async () => (await jobs.stats()).waitingPutters === 1);
  child.kill('SIGINT');
  const { status, stderr } = await outcome;
  expect(status).toBe(130);
  expectOneLine(stderr, /interrupted; 2 items were put back, the rest stays in sage:.*dead/);
  expect([await jobs.getMany(5), await dead.getMany(5)]).toEqual([[0, 1], [2, 3, 4].map(letter)]);
  await Promise.all([jobs.close(), dead.close()]);
});

test('a top whose pictures are further apart than a timer can be waits, and ends', async () => {
  const { child, outcome } = start(['top', '--json', '--interval-ms', String(2 ** 31)]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGINT');
  const told = await outcome;
  expect(told.status).toBe(130);
  expect(lines(told)).toHaveLength(1);
  expectOneLine(told.stderr, 'interrupted.');
});

test('a get whose reader does not read gives back what it could not write', async () => {
  const items = Array.from({ length: 5000 }, (_, index) => `${index} ${'x'.repeat(100)}`);
  await command(['put', queue, '--maxsize', '5000'], `${items.join('\n')}\n`);
  const { child, outcome } = start(['get', queue]);
  child.stdout.pause();
  let left = 5000;
  await until('the pipe is full', async () => {
    const before = left;
    left = (await listed(queue))?.qsize ?? 0;
    return left < 5000 && left === before;
  });
  child.kill('SIGINT');
  // It goes although nobody reads.
  await until('it has gone', () => child.exitCode !== null || child.signalCode !== null);
  child.stdout.resume();
  const interrupted = await outcome;
  expect(interrupted.status).toBe(130);
  const rest = await command(['get', queue]);
  // Together they are everything, each item once; only a piece of one item may have reached the reader twice.
  const written = itemsIn(interrupted.stderr);
  expect(lines(interrupted).slice(0, written)).toEqual(items.slice(0, written));
  expect(lines(rest)).toEqual(items.slice(written));
});
