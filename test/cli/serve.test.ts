/** `sage-queue serve`: a shared-memory queue behind a port, used from the command line on both sides. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const cli = join(__dirname, '../../dist/cli/main.js');
const run = (args: string[], input = '', env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [cli, ...args], {
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 20_000,
  });

async function serving<R>(args: string[], use: (address: string) => R, env: NodeJS.ProcessEnv = {}): Promise<R> {
  const server = spawn(process.execPath, [cli, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = once(server, 'exit');
  try {
    const line = await Promise.race([once(server.stdout.setEncoding('utf8'), 'data'), ended]);
    if (typeof line[0] !== 'string') throw new Error(`serve ended with status ${String(line[0])}`);
    return use(line[0].trim());
  } finally {
    server.kill('SIGINT');
    expect((await ended)[0]).toBe(0);
  }
}

test('what goes in by rpc:// comes out by sage:, and the reverse', async () => {
  const name = `serve.${process.pid}`;
  await serving(['--queue', `jobs=sage:${name}`], (address) => {
    expect(run(['put', `${address}jobs`], 'one\ntwo\n')).toMatchObject({ status: 0, stderr: '' });
    expect(run(['get', `sage:${name}`, '--count', '2'])).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
    expect(run(['put', `sage:${name}`], 'three\n').status).toBe(0);
    expect(run(['get', `${address}jobs`, '--count', '1'])).toMatchObject({ status: 0, stdout: 'three\n' });
  });
});

test('a queue that is not served is refused by name', async () => {
  await serving(['--queue', `jobs=sage:serve.${process.pid}`], (address) => {
    const refused = run(['get', `${address}other`, '--count', '1', '--timeout-ms', '5000']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('other');
  });
});

test('wrong command lines say what was expected', () => {
  expect(run(['serve'])).toMatchObject({ status: 2 });
  expect(run(['serve', '--port', '0', '--queue', 'nothing']).stderr).toContain('ID=QUEUE');
  expect(run(['serve', '--port', '0', '--tls-cert', 'x']).stderr).toContain('go together');
  expect(run(['serve', '--port', '0', '--host', '0.0.0.0']).status).toBe(1);
});
