/** A server that is not there yet: what waits for it says so, and goes on when it comes. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expectOneLine, lines, start, uniqueName } from './command';
import type { Running } from './command';

const running: Running[] = [];
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL');
});
const started = (args: string[]): Running => {
  running.push(start(args));
  return running.at(-1)!;
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('put and get --follow tell once that they wait', async () => {
  const port = await freePort();
  const uri = `rpc://127.0.0.1:${port}/jobs`;
  const get = started(['get', uri, '--follow']);
  const put = started(['put', uri, '--shutdown']);
  put.child.stdin.end('one\n');
  await Promise.all([get, put].map(({ child }) => once(child.stderr, 'data')));
  const server = started(['serve', '--port', String(port), '--queue', `jobs=sage:${uniqueName('down')}`]);
  const [got, outcome] = await Promise.all([get.outcome, put.outcome]);
  expect([got.status, outcome.status]).toEqual([0, 0]);
  expect(lines(got)).toEqual(['one']);
  for (const { stderr } of [got, outcome])
    expectOneLine(stderr, `nothing listens at 127.0.0.1:${port} (ECONNREFUSED); waiting for it.`);
  server.child.kill('SIGINT');
  expect((await server.outcome).status).toBe(130);
});
