/** top: what comes first, what fits, and the keys. */
import { command, lines, startOnTerminal, uniqueName, until } from './command';
import type { Running } from './command';

const name = uniqueName('top');
let running: Running | undefined;
afterEach(() => running?.child.kill('SIGKILL'));
beforeAll(async () => {
  await command(['put', `sage:${name}.a`], 'x\n');
  await command(['put', `sage:${name}.deep`], 'x\n'.repeat(20));
  await command(['put', `shm:${name}.b`, '--maxsize', '2'], 'x\nx\n');
});
afterAll(async () => void (await command(['rm', `*${name}*`])));

const namesIn = (text: readonly string[]): string[] =>
  text.filter((line) => line.includes(name)).map((line) => line.split(' ')[0]!.split('.').at(-1)!);

test('--sort says what comes first, --filter what comes at all', async () => {
  const shown = async (...args: string[]): Promise<string[]> =>
    namesIn(lines(await command(['top', '--count', '1', '--filter', `*${name}*`, ...args])));
  expect(await shown('--sort', 'depth')).toEqual(['deep', 'b', 'a']);
  expect(await shown('--sort', 'name')).toEqual(['a', 'deep', 'b']);
  expect(namesIn(lines(await command(['top', '--count', '1', `shm:${name}.*`])))).toEqual(['b']);
  expect((await command(['top', '--sort', 'size'])).status).toBe(2);
});

test('--json is a line for each picture', async () => {
  const pictures = lines(await command(['top', `sage:${name}.*`, '--json', '--count', '2', '--interval-ms', '10']));
  const [first, second] = pictures.map((line) => JSON.parse(line) as { queues: Record<string, unknown>[] });
  expect(pictures).toHaveLength(2);
  expect(first!.queues[0]).toMatchObject({ qsize: expect.any(Number), rates: null });
  expect(second!.queues[0]).toMatchObject({
    rates: { put: 0, get: 0, bytes: 0 },
    attached: 0,
    full: expect.any(Number),
  });
});

async function onTerminal(env: NodeJS.ProcessEnv = {}, ...keys: string[]): Promise<string> {
  running = startOnTerminal(['top', `*${name}*`, '--sort', 'name', '--interval-ms', '60000'], { env, columns: 200 });
  let shown = '';
  running.child.stdout.on('data', (text: Buffer) => (shown += text.toString()));
  for (const [before, key] of keys.entries()) {
    await until('the next picture is out', () => shown.split('\u001b[J').length > before + 1);
    running.child.stdin.write(key);
  }
  expect((await running.outcome).status).toBe(0);
  return shown;
}

test('keys sort anew and end it, without waiting for the interval', async () => {
  const shown = await onTerminal({}, 'd', 'q');
  const pictures = shown.split('\u001b[J').map((picture) => picture.split(/\r?\n/));
  expect(namesIn(pictures[0]!)).toHaveLength(3);
  expect(pictures[1]!.find((line) => line.includes('queues'))).toContain('by depth');
});

test('a terminal has colours, unless NO_COLOR says otherwise', async () => {
  const colour = /\u001b\[\d+m/;
  expect(await onTerminal({ NO_COLOR: '', TERM: 'xterm' }, 'q')).toMatch(colour);
  expect(await onTerminal({ NO_COLOR: '1', TERM: 'xterm' }, 'q')).not.toMatch(colour);
});
