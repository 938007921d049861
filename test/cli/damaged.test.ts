/** A file that has the name of a queue and holds none: every command says what removes it, and that does. */
import { chownSync, closeSync, existsSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { command, expectOneLine, lines, listed, segmentsNamed, start, uniqueName, until } from './command';

const name = uniqueName('damaged');
const queue = `shm:${name}`;
const file = `/dev/shm/sage-queue+shm+${name}`;
const asRoot = process.getuid?.() === 0 ? test : test.skip;
let afterThis = (): unknown => undefined;
afterEach(() => afterThis());
afterAll(() => {
  rmSync(file, { force: true });
  expect(segmentsNamed(name)).toEqual([]);
});

test.each([
  ['no bytes', Buffer.alloc(0)],
  ['random bytes', Buffer.alloc(200_000, 'sage')],
])('%s', async (_what, content) => {
  writeFileSync(file, content, { mode: 0o600 });
  expectOneLine((await command(['put', queue], 'a\n')).stderr, /`sage-queue rm`.*ERR_SEGMENT_CORRUPT/);
  expect(await command(['rm', queue])).toMatchObject({ status: 0, stderr: '', stdout: Buffer.alloc(0) });
  expect(existsSync(file)).toBe(false);
  await command(['put', queue], 'a\n');
  expect(lines(await command(['get', queue]))).toEqual(['a']);
});

test('a name too long for a file', async () => {
  const long = `${name}.`.padEnd(255, 'x');
  await command(['put', `shm:${long}`], 'a\n');
  const [shortened] = segmentsNamed(name.slice(0, 20));
  writeFileSync(`/dev/shm/${shortened}`, 'damaged');
  expect(await command(['rm', `shm:${long}`])).toMatchObject({ status: 0, stderr: '' });
  expect(segmentsNamed(name.slice(0, 20))).toEqual([]);
});

test('one that a process has mapped stays', async () => {
  const holder = start(['get', queue, '--follow', '--create']);
  afterThis = () => holder.child.kill('SIGKILL');
  await until('the reader made the queue', async () => (await listed(queue)) !== undefined);
  const damaged = openSync(file, 'r+');
  writeSync(damaged, Buffer.alloc(64));
  closeSync(damaged);
  const outcome = await command(['rm', queue]);
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, new RegExp(`mapped by process ${holder.child.pid}\\b`));
  expect(existsSync(file)).toBe(true);
  holder.child.kill('SIGKILL');
  await holder.outcome;
  expect((await command(['rm', queue])).status).toBe(0);
  expect(existsSync(file)).toBe(false);
});

asRoot("another user's stays", async () => {
  writeFileSync(file, '', { mode: 0o600 });
  chownSync(file, 65534, 65534);
  const outcome = await command(['rm', queue]);
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /belongs to user 65534/);
  expect(existsSync(file)).toBe(true);
  rmSync(file);
});
