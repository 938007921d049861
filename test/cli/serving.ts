/** `sage-queue serve` as a process of its own, and commands beside it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './command';

export const run = (args: string[], input = '', env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [MAIN, ...args], {
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 20_000,
  });

/** With a server at `address`, rpc://HOST:PORT/, which ends afterwards. */
export async function serving<R>(
  args: string[],
  use: (address: string) => R | Promise<R>,
  env: NodeJS.ProcessEnv = {},
): Promise<R> {
  const server = spawn(process.execPath, [MAIN, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = once(server, 'exit');
  try {
    const line = await Promise.race([once(server.stdout.setEncoding('utf8'), 'data'), ended]);
    if (typeof line[0] !== 'string') throw new Error(`serve ended with status ${String(line[0])}`);
    return await use(line[0].trim());
  } finally {
    server.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
  }
}
