/** Where a server may be, and what is no such place. */
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidDescriptorError, QueueDescriptor, resolveDescriptor } from '../../lib';
import { proxyFor } from '../../lib/transports/rpc/client/proxy-environment';
import { endpointsOf } from '../../lib/transports/rpc/wire/addresses';
import { loadGrpc } from '../../lib/transports/rpc/wire/grpc';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test.each(['[::1]', '::1', 'localhost', 'LocalHost', 'LOCALHOST'])('%s is this machine', async (host) => {
  const { port } = await fixture.serve({ host: host.includes('::') ? '::1' : 'localhost' });
  const queue = fixture.client(port, { host });
  await queue.put('there');
  expect(await queue.get()).toBe('there');
});

test('a socket of this machine', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sage-queue-socket-'));
  fixture.later(async () => rmSync(directory, { recursive: true }));
  const host = `unix:${join(directory, 'queue.sock')}`;
  await fixture.serve({ host });
  const queue = fixture.client(1, { host });
  await queue.put('there');
  expect(await queue.get()).toBe('there');
  expect(
    (await errorOf(fixture.client(1, { host: `unix:${directory}/nobody` }).get({ block: false }))).message,
  ).toContain(`unix:${directory}/nobody`);
});

test.each(['http://host', 'a b', 'host:70', 'host/path', 'user@host', '', 'a,,b', '[::1', '[name]', '?'])(
  "'%s' is no host",
  (host) => {
    const make = (): unknown => resolveDescriptor(QueueDescriptor.createRpcQueue(host, 7000, 'q'));
    expect(make).toThrow(InvalidDescriptorError);
  },
);

test('of several addresses the next one is tried', async () => {
  const { port } = await fixture.serve({ host: '127.0.0.1' });
  const queue = fixture.client(port, { host: '127.0.0.9,127.0.0.8,127.0.0.1' });
  await queue.put('there', { timeoutMs: 5000 });
  expect(await queue.get({ timeoutMs: 5000 })).toBe('there');
});

describe('proxies of the environment', () => {
  const proxy = (host: string, env: NodeJS.ProcessEnv): string | undefined =>
    proxyFor(endpointsOf(host, 7000)![0]!, env)?.where;
  const env = { http_proxy: 'http://user:secret@proxy.example:3128' };

  test('are for other machines only, and not for those in no_proxy', () => {
    expect(proxy('far.example', env)).toBe('proxy.example:3128');
    for (const host of ['127.0.0.1', 'localhost', '::1', 'unix:/s']) expect(proxy(host, env)).toBeUndefined();
    for (const no_proxy of [
      '*',
      'far.example',
      '.example',
      'example',
      'x, FAR.example',
      'far.example:7000',
      '*.example',
    ])
      expect(proxy('far.example', { ...env, no_proxy })).toBeUndefined();
    expect(proxy('far.example', { ...env, NO_PROXY: 'far.example' })).toBeUndefined();
    for (const no_proxy of ['', 'ample', 'near.example', 'far.example:80', 'r.example'])
      expect(proxy('far.example', { ...env, no_proxy })).toBe('proxy.example:3128');
  });

  test('leave this machine alone, and are named where they are in the way', async () => {
    const { port } = await fixture.serve();
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const free = (gone.address() as { port: number }).port;
    await new Promise((resolve) => gone.close(resolve));
    // It says of each attempt that it failed, of one under way even after the handle is closed.
    const { setLogVerbosity, logVerbosity } = loadGrpc();
    setLogVerbosity(logVerbosity.NONE);
    process.env.http_proxy = `http://user:secret@127.0.0.1:${free}`;
    try {
      const near = fixture.client(port);
      await near.put('there');
      const far = fixture.client(port, { host: '192.0.2.1', tls: 'off' });
      const error = await errorOf(far.get({ timeoutMs: 300 }));
      await far.close();
      expect(error.message).toContain(`the proxy 127.0.0.1:${free}, named by http_proxy`);
      expect(error.message).not.toMatch(/secret|undefined|Resolution note/);
    } finally {
      delete process.env.http_proxy;
    }
  });
});
