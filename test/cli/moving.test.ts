/** peek, mv, redrive, and globs: what goes where, and what stays. */
import { command, expectOneLine, lines, segmentsNamed, shell, start, uniqueName } from './command';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { Arguments } from '../../lib/cli/command';
import { redrive } from '../../lib/cli/commands/redrive';
import { loadAddon } from '../../lib/transports/shm/addon';

const name = uniqueName('moving');
const [from, to, dead] = ['from', 'to', 'dead'].map((part) => `sage:${name}.${part}`) as [string, string, string];
const attach = (uri: string): Queue =>
  resolveDescriptor(QueueDescriptor.createSageQueue(uri.slice('sage:'.length))) as Queue;

afterEach(async () => {
  await command(['rm', `sage:${name}.*`]);
  expect(segmentsNamed(name)).toEqual([]);
});

const textOf = async (...args: string[]): Promise<string[]> => lines(await command(args));

test('peek shows what is next and leaves it', async () => {
  await command(['put', from], 'a\nb\nc\n');
  expect(await textOf('peek', from)).toEqual(['a']);
  expect(await textOf('peek', from, '--count', '2')).toEqual(['a', 'b']);
  expect(await textOf('peek', from, '--count', '9', '--ndjson')).toEqual(['"a"', '"b"', '"c"']);
  expect(await textOf('get', from)).toEqual(['a', 'b', 'c']);
});

test('peek of a queue that is not there fails, of an empty one it shows nothing', async () => {
  const missing = await command(['peek', from]);
  expect(missing.status).toBe(1);
  expectOneLine(missing.stderr, 'ERR_QUEUE_NOT_FOUND');
  const queue = attach(from);
  expect(await command(['peek', from])).toMatchObject({ status: 0, stdout: Buffer.alloc(0), stderr: '' });
  expect(await command(['peek', from, '--count', '3'])).toMatchObject({ status: 0, stderr: '' });
  await queue.close();
});

test('mv moves in order, makes TO, and stops at --count', async () => {
  await command(['put', from], Array.from({ length: 200 }, (_, index) => `${index}\n`).join(''));
  expect(await textOf('mv', from, to, '--count', '150')).toEqual(['moved 150 items']);
  expect(await textOf('mv', from, to)).toEqual(['moved 50 items']);
  expect(await textOf('get', to)).toEqual(Array.from({ length: 200 }, (_, index) => String(index)));
});

test('what TO has no room for stays in FROM, in order', async () => {
  await command(['put', from], 'a\nb\nc\nd\n');
  await command(['put', to, '--maxsize', '2'], 'x\n');
  const outcome = await command(['mv', from, to, '--timeout-ms', '50']);
  expect(outcome.status).toBe(3);
  expectOneLine(outcome.stderr, '1 items were moved');
  expect(await textOf('get', to)).toEqual(['x', 'a']);
  expect(await textOf('get', from)).toEqual(['b', 'c', 'd']);
});

test('mv into what takes nothing says how far it came', async () => {
  await command(['put', from], 'a\nb\n');
  const target = attach(to);
  await target.shutdown();
  const outcome = await command(['mv', from, to]);
  expect(outcome.status).toBe(1);
  expectOneLine(outcome.stderr, /0 items were moved, the rest stays in sage:.*from\. \(ERR_QUEUE_SHUT_DOWN\)/);
  expect(await textOf('get', from)).toEqual(['a', 'b']);
  await target.close();
});

test('redrive puts the items of dead letters where they came from; what is none stays', async () => {
  const [jobs, letters] = [attach(from), attach(dead)];
  const letter = (item: unknown, queue: unknown): unknown => ({
    item,
    error: { name: 'Error', message: 'm' },
    deliveries: 3,
    crashes: 0,
    queue,
    failedAtMs: 1,
  });
  await letters.put(letter('back', jobs.descriptor.toJSON()));
  await letters.put('no letter');
  await letters.put(
    letter(
      'elsewhere',
      new QueueDescriptor({ queueId: 'x', queueType: 'rpc', metadata: { server_address: 'evil', port: 1 } }).toJSON(),
    ),
  );
  await letters.put(letter('gone', QueueDescriptor.createSageQueue(`${name}.gone`).toJSON()));
  const outcome = await command(['redrive', dead]);
  expect(outcome.status).toBe(1);
  expect(lines(outcome)).toEqual(['put back 1 items']);
  expectOneLine(outcome.stderr, /3 stay in .*not every item is a dead letter.*of type rpc.*not there/);
  expect(await jobs.getMany(10)).toEqual(['back']);
  expect(await letters.qsize()).toBe(3);
  expect(segmentsNamed(`${name}.gone`)).toEqual([]);
  // With TO it is the user who says where.
  const told = await command(['redrive', dead, from]);
  expect(lines(told)).toEqual(['put back 2 items']);
  expect(await jobs.getMany(10)).toEqual(['elsewhere', 'gone']);
  await letters.get();
  await Promise.all([jobs.close(), letters.close()]);
});

test('mv ends where FROM and TO are two names of one queue, which it leaves in order', async () => {
  await command(['put', from], Array.from({ length: 100 }, (_, index) => `${index}\n`).join(''));
  const again = JSON.stringify({
    queue_id: from.slice('sage:'.length),
    queue_type: 'sage_queue',
    metadata: { maxsize: 1000 },
  });
  const { child, outcome } = start(['mv', from, again]);
  try {
    expect(lines(await outcome)).toEqual(['moved 100 items']);
  } finally {
    child.kill();
  }
  expect(await textOf('get', from)).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
});

test('redrive does not take what comes into DEAD meanwhile', async () => {
  const letters = attach(dead);
  const letter = (item: unknown): unknown => ({ item, error: { name: 'Error' }, queue: letters.descriptor.toJSON() });
  await letters.put(letter(letter(letter('poison'))));
  expect(await textOf('redrive', dead)).toEqual(['put back 1 items']);
  expect(await letters.getMany(10)).toEqual([letter(letter('poison'))]);
  await letters.close();
});

test('redrive looks for the queues of its letters once, however many there are', async () => {
  const [jobs, letters] = [attach(from), attach(dead)];
  const written = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
  const refused = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const looks = jest.spyOn(loadAddon(), 'list');
  const before = process.listeners('SIGINT').length;
  try {
    const named = [jobs.descriptor, QueueDescriptor.createSageQueue(`${name}.gone`)];
    const error = { name: 'Error', message: 'm' };
    await letters.putMany(
      Array.from({ length: 200 }, (_, item) => ({ item, error, queue: named[item % 2]!.toJSON() })),
    );
    expect(await redrive.run(new Arguments([dead], {}))).toBe(1);
    expect(looks).toHaveBeenCalledTimes(1);
    expect([await jobs.qsize(), await letters.qsize()]).toEqual([100, 100]);
  } finally {
    for (const spy of [written, refused, looks]) spy.mockRestore();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      for (const listener of process.listeners(signal).slice(before)) process.off(signal, listener);
    await Promise.all([jobs.close(), letters.close()]);
  }
});

test('globs name what they match, and rm says what went', async () => {
  for (const uri of [from, to]) await command(['put', uri], 'x\n');
  expect(JSON.parse((await command(['ls', `sage:${name}.*`, '--json'])).stdout.toString())).toHaveLength(2);
  expect(JSON.parse((await command(['ls', `${name}.fr?m`, '--json'])).stdout.toString())).toHaveLength(1);
  expect((await textOf('top', `${name}.*`, '--count', '1')).filter((line) => line.startsWith('sage:'))).toHaveLength(2);
  expect(await textOf('rm', `sage:${name}.[ft]*`)).toEqual([`removed ${from}`, `removed ${to}`]);
  const none = await command(['rm', `sage:${name}.*`]);
  expect(none.status).toBe(1);
  expectOneLine(none.stderr, 'No queue matches');
  await command(['put', from], 'x\n');
  expect(await textOf('prune', `${name}.other*`, '--include-non-empty')).toEqual(['nothing to remove']);
  expect(await textOf('prune', `${name}.*`, '--include-non-empty')).toEqual([expect.stringContaining(from)]);
});

test.each(['bash', 'zsh', 'fish'])('completion for %s names every command', async (shell) => {
  const script = (await command(['completion', shell])).stdout.toString();
  for (const known of ['put', 'redrive', 'completion', 'capacity-bytes']) expect(script).toContain(known);
});

// A colon ends a word for bash, so what is completed is what stands behind it.
test('the bash script completes commands, options and queues', async () => {
  await command(['put', from], 'x\n');
  const complete = (line: string): string =>
    `COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}; read -ra COMP_WORDS <<<"$COMP_LINE"; ` +
    `[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=(''); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _sage_queue; echo "\${COMPREPLY[@]}"`;
  const script = `sage-queue() { sq "$@"; }; command() { "$@"; }; source <(sq completion bash); `;
  expect(lines(await shell(script + complete('sage-queue redr')))).toEqual(['redrive']);
  expect(lines(await shell(script + complete('sage-queue top --so')))).toEqual(['--sort']);
  expect(lines(await shell(script + complete(`sage-queue peek ${from.slice(0, -2)}`)))).toEqual([
    from.slice('sage:'.length),
  ]);
});
