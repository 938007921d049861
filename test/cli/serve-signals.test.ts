/** What signals do to `sage-queue serve`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from './command';
import { run } from './serving';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'sage-queue-serve-'))));
afterEach(() => rmSync(directory, { recursive: true }));

async function start(
  ...args: string[]
): Promise<{ address: string; server: ReturnType<typeof spawn>; said: () => string }> {
  const server = spawn(process.execPath, [MAIN, 'serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  server.stderr.on('data', (bytes) => (said += String(bytes)));
  const [line] = await once(server.stdout.setEncoding('utf8'), 'data');
  return { address: String(line).trim(), server, said: () => said };
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends it with %d', async (signal, status) => {
  const { server } = await start('--port', '0');
  server.kill(signal);
  expect((await once(server, 'exit'))[0]).toBe(status);
});

test('SIGHUP reads the tokens again, and keeps the old ones when they are bad', async () => {
  const file = join(directory, 'tokens');
  writeFileSync(file, '# who may what\nfirst\n', { mode: 0o600 });
  const { address, server, said } = await start(
    '--port',
    '0',
    '--queue',
    `q=sage:signals.${process.pid}`,
    '--tokens',
    file,
  );
  try {
    const put = (token: string): number | null =>
      run(['put', `${address}q`], 'x\n', { SAGE_QUEUE_TOKEN: token }).status;
    expect(put('first')).toBe(0);
    writeFileSync(file, 'second * nonsense\n');
    server.kill('SIGHUP');
    while (!said().includes('Nothing was reloaded')) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(put('first')).toBe(0);
    writeFileSync(file, 'second * put,stats\n');
    server.kill('SIGHUP');
    while (put('second') !== 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(put('first')).toBe(1);
  } finally {
    server.kill('SIGTERM');
    expect((await once(server, 'exit'))[0]).toBe(143);
    expect(run(['rm', `sage:signals.${process.pid}`])).toMatchObject({ status: 0, stderr: '' });
  }
});

test('a file of tokens that others may read is refused', () => {
  const file = join(directory, 'tokens');
  writeFileSync(file, 'secret\n');
  chmodSync(file, 0o644);
  const { status, stderr } = run(['serve', '--port', '0', '--tokens', file]);
  expect(status).toBe(2);
  expect(stderr).toContain('chmod 600');
  expect(stderr).not.toContain('secret');
});
