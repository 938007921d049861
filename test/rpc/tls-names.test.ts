/** What the clients of `rpc` and of Ray tell TLS, and what they ask a certificate for, where Node takes no address for a name: here on any Node. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import type { Server } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { completeCredentials, openChannel } from '../../lib/transports/ray/client/grpc';
import { TestAuthority } from './support/certificates';
import { errorOf, Fixture } from './support/fixture';

jest.mock('../../lib/util/tls', () => {
  const tls = jest.requireActual<typeof import('../../lib/util/tls')>('../../lib/util/tls');
  return { ...tls, tlsNameFor: (host: string) => tls.tlsNameFor(host, true) };
});

const fixture = new Fixture();
let authority: TestAuthority;
beforeAll(() => {
  authority = new TestAuthority();
});
afterEach(() => fixture.end());
afterAll(() => authority.remove());

/** Hears one handshake, which it breaks off. */
async function listen(): Promise<{ server: Server; port: number; name: Promise<string> }> {
  const { cert, key } = authority.issue('localhost');
  let hear: (name: string) => void;
  const name = new Promise<string>((resolve) => (hear = resolve));
  const server = createServer({
    cert: readFileSync(cert),
    key: readFileSync(key),
    ALPNProtocols: ['h2'],
    SNICallback: (told, goOn) => {
      hear(told);
      goOn(new Error('heard'));
    },
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port, name };
}

test('rpc', async () => {
  const { server, port, name } = await listen();
  const got = errorOf(fixture.client(port, { credentials: { ca: authority.ca } }).get({ timeoutMs: 500 }));
  expect(await name).toBe('127.0.0.1.address.invalid');
  await got;
  server.close();
});

test('Ray', async () => {
  const { server, port, name } = await listen();
  const credentials = completeCredentials({ ca: authority.ca });
  const { client } = openChannel(grpc, { target: `127.0.0.1:${port}`, credentials, keepaliveMs: 10_000 });
  const over = new Promise((resolve) => client.waitForReady(Date.now() + 1000, resolve));
  expect(await name).toBe('127.0.0.1.address.invalid');
  client.close();
  await over;
  server.close();
});

test('the certificate has to be for the address', async () => {
  const there = await fixture.serve({ tls: authority.issue('localhost') });
  const queue = fixture.client(there.port, { credentials: { ca: authority.ca } });
  await queue.put('by its address');
  expect(await queue.get()).toBe('by its address');

  const elsewhere = await fixture.serve({ tls: authority.issue('localhost', '127.0.0.2') });
  const refused = fixture.client(elsewhere.port, { credentials: { ca: authority.ca } });
  expect((await errorOf(refused.get({ timeoutMs: 3000 }))).message).toContain(
    "IP: 127.0.0.1 is not in the cert's list",
  );
});
