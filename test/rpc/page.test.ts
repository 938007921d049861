/** The server and the client of docs/rpc.md, as they stand there but for address and port, as two processes. */
import { spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { blocksRunBy } from '../docs/pages';
import type { Block } from '../docs/pages';
import { Project, promised } from '../docs/run-block';
import { TestAuthority } from './support/certificates';
import { kill } from './support/processes';

const authority = new TestAuthority();
const project = new Project();
afterAll(() => {
  project.remove();
  authority.remove();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a server with a certificate and a token, and a client that has both', async () => {
  const { cert, key } = authority.issue('server');
  copyFileSync(cert, join(project.folder, 'server.pem'));
  copyFileSync(key, join(project.folder, 'server.key'));
  copyFileSync(authority.ca, join(project.folder, 'ca.pem'));
  const port = String(await freePort());
  const here = (block: Block): Block => {
    expect(block.code).toMatch(/(10\.0\.0\.5|queues\.example)[\s\S]*7000/);
    const code = block.code.replace('10.0.0.5', '127.0.0.1').replace('queues.example', 'localhost');
    return { ...block, code: code.replace('7000', port) };
  };
  const [server, client] = blocksRunBy('test/rpc/page.test.ts').map(here) as [Block, Block];
  // A directory of its own: other tests have a queue of this name, too.
  const env = { ...process.env, SAGE_QUEUE_DIR: project.folder, QUEUE_TOKEN: 'a token of this test' };
  const options = { cwd: project.folder, env, stdio: 'inherit' } as const;
  const serving = spawn(process.execPath, [project.write(server)], options);
  try {
    // The client waits for the server, as it says there.
    const { status, stdout, stderr } = project.run(client, 20, env);
    expect({ status, stderr, printed: stdout.trim().split('\n') }).toEqual({
      status: 0,
      stderr: '',
      printed: promised(client),
    });
  } finally {
    await kill(serving);
  }
}, 30_000);
