import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { QueueConnectionError } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { certifiedName, hostOf, tlsNameFor } from '../../lib/util/tls';
import { TestAuthority } from './support/certificates';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
let authority: TestAuthority;
let stranger: TestAuthority;
beforeAll(() => {
  authority = new TestAuthority();
  stranger = new TestAuthority('somebody else');
});
afterEach(() => fixture.end());
afterAll(() => {
  authority.remove();
  stranger.remove();
});

test('items over TLS, the authority given as a path, as a text, or in the descriptor', async () => {
  const { port } = await fixture.serve({ tls: authority.issue('localhost'), token: 'secret' });
  const byPath = fixture.client(port, { credentials: { ca: authority.ca, token: 'secret' } });
  await byPath.putMany(['a', 'b', 'c']);
  const text = readFileSync(authority.ca, 'utf8');
  expect(await fixture.client(port, { credentials: { ca: text, token: 'secret' } }).get()).toBe('a');
  expect(await fixture.client(port, { tls: { ca: text }, credentials: { token: 'secret' } }).get()).toBe('b');
  expect(
    await fixture.client(port, { host: 'localhost', credentials: { ca: authority.ca, token: 'secret' } }).get(),
  ).toBe('c');
});

test('a server given as an address has to have a certificate for it', async () => {
  const there = await fixture.serve({ host: '::1', tls: authority.issue('localhost', '::1') });
  const queue = fixture.client(there.port, { host: '::1', credentials: { ca: authority.ca } });
  await queue.put('by its address');
  expect(await queue.get()).toBe('by its address');

  const elsewhere = await fixture.serve({ tls: authority.issue('localhost', '127.0.0.2') });
  const refused = fixture.client(elsewhere.port, { credentials: { ca: authority.ca } });
  const error = await errorOf(refused.get({ timeoutMs: 3000 }));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain("IP: 127.0.0.1 is not in the cert's list");
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:10.0.0.5', '::ffff:10.0.0.5'],
  ['2001:db8::', '2001:db8::'],
])(
  'where TLS takes no address for a name, %s is spelled as one, and the certificate is for %s',
  (address, certified) => {
    const { 'grpc.ssl_target_name_override': name } = tlsNameFor(address, true) as Record<string, string>;
    expect(isIP(name!)).toBe(0);
    expect(name).toMatch(/^[0-9a-fx]+(\.[0-9a-z]+)*\.address\.invalid$/);
    expect(certifiedName(name!)).toBe(certified);
    expect(tlsNameFor(address, false)).toEqual({});
  },
);

test.each(['queues.example', 'foo.com.address.invalid', 'exaxmple.address.invalid', 'address.invalid'])(
  'the name %s is told as it is, and the certificate is for it',
  (name) => {
    expect(tlsNameFor(name, true)).toEqual({});
    expect(certifiedName(name)).toBe(name);
  },
);

test('the host of a target', () => {
  expect(['head:10001', '10.0.0.5:10001', '[::1]:10001'].map(hostOf)).toEqual(['head', '10.0.0.5', '::1']);
});

test('an expired certificate', async () => {
  const { port } = await fixture.serve({ tls: authority.issueExpired('localhost') });
  const error = await errorOf(fixture.client(port, { credentials: { ca: authority.ca } }).get({ timeoutMs: 3000 }));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/expired/);
});

test('a certificate of an authority that the client does not know', async () => {
  const { port } = await fixture.serve({ tls: stranger.issue('localhost') });
  for (const queue of [
    fixture.client(port, { credentials: { ca: authority.ca } }),
    fixture.client(port, { tls: 'system' }),
  ]) {
    const error = await errorOf(queue.get({ timeoutMs: 3000 }));
    expect(error).toBeInstanceOf(QueueConnectionError);
    expect(error.message).toMatch(/TLS .* failed/);
  }
});

test('a client in plain text, and a server in plain text', async () => {
  const secure = await fixture.serve({ tls: authority.issue('localhost') });
  expect(await errorOf(fixture.client(secure.port, { tls: 'off' }).get({ timeoutMs: 500 }))).toBeInstanceOf(
    QueueConnectionError,
  );
  const plain = await fixture.serve();
  const error = await errorOf(
    fixture.client(plain.port, { credentials: { ca: authority.ca } }).get({ timeoutMs: 3000 }),
  );
  expect(error.message).toContain('does not speak TLS');
});

test('mutual: only clients with a certificate of the authority', async () => {
  const { port } = await fixture.serve({ tls: { ...authority.issue('localhost'), clientCa: authority.ca } });
  const known = fixture.client(port, { credentials: { ca: authority.ca, ...authority.issue('worker') } });
  await known.put('hello');
  expect(await known.get()).toBe('hello');
  for (const shown of [{}, stranger.issue('intruder')]) {
    const error = await errorOf(
      fixture.client(port, { credentials: { ca: authority.ca, ...shown } }).get({ timeoutMs: 1000 }),
    );
    expect(error).toBeInstanceOf(QueueConnectionError);
  }
  expect(await known.empty()).toBe(true);
});

test('plain text is refused beyond loopback unless the flag says so', async () => {
  const refused = new QueueServer({ host: '0.0.0.0', queues: {} });
  const error = await errorOf(refused.start());
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('allowPlaintextBeyondLoopback');
  for (const options of [{ allowPlaintextBeyondLoopback: true }, { tls: authority.issue('localhost') }]) {
    const { server } = await fixture.serve({ host: '0.0.0.0', ...options });
    await server.stop();
  }
});

test('certificates and keys that are not there, or are none', async () => {
  const good = authority.issue('localhost');
  const refusal = async (make: () => unknown): Promise<string> => {
    const error = await errorOf((async () => make())());
    expect(error).toBeInstanceOf(QueueConnectionError);
    return error.message;
  };
  const server = (tls: Partial<typeof good> & { clientCa?: string }): Promise<string> =>
    refusal(() => new QueueServer({ tls: { ...good, ...tls } }).start());
  const client = (credentials: Partial<typeof good> & { ca?: string }): Promise<string> =>
    refusal(() => fixture.client(1, { credentials: { ca: authority.ca, ...credentials } }));

  expect(await server({ cert: '/nowhere/cert.pem' })).toMatch(/^tls\.cert "\/nowhere\/cert\.pem" is neither .*ENOENT/);
  expect(await server({ clientCa: 'ca.pem' })).toMatch(/^tls\.clientCa "ca\.pem" is neither/);
  expect(await server({ cert: undefined })).toMatch(
    /^tls\.cert must be a PEM text or the path of one, found undefined/,
  );
  expect(await client({ ca: '/nowhere/ca.pem' })).toMatch(/^credentials\.ca "\/nowhere\/ca\.pem" is neither .*ENOENT/);
  expect(await client({ cert: 'cert.pem', key: good.key })).toMatch(/^credentials\.cert "cert\.pem" is neither/);
  expect(await refusal(() => fixture.client(1, { tls: { ca: 'ca.pem' } }))).toMatch(/^metadata\.tls\.ca "ca\.pem"/);
  // It may be the key itself, without the lines around it.
  for (const message of [await server({ key: 'MIIEvQ/secret' }), await client({ ...good, key: 'MIIEvQ/secret' })]) {
    expect(message).toMatch(/^(tls|credentials)\.key is neither .*ENOENT/);
    expect(message).not.toContain('MIIEvQ');
  }
  expect(await server({ cert: __filename })).toMatch(/^TLS cannot use the certificates or the key in tls: /);
  expect(await client({ ...good, cert: __filename })).toMatch(
    /^TLS cannot use the certificates or the key in credentials: /,
  );
  expect(await client({ key: good.key })).toMatch(/accompanying certificate chain/);
});

test('what another attempt would not cure comes at once, each with a sentence of its own', async () => {
  const stranger = new TestAuthority('somebody else');
  fixture.later(async () => stranger.remove());
  const { port } = await fixture.serve({ tls: { ...authority.issue('server'), clientCa: authority.ca } });
  const ca = authority.ca;
  const cases: [object, RegExp][] = [
    [{ credentials: { ca, ...stranger.issue('client') } }, /as it seems, another authority than its own has signed it/],
    [{ credentials: { ca, ...authority.issueExpired('client') } }, /it has expired/],
    [{ credentials: { ca } }, /asks for a client certificate, and none was given/],
    [{ tls: 'off' }, /speaks TLS, and was spoken to in plain text/],
  ];
  for (const [options, sentence] of cases) {
    const started = performance.now();
    const error = await errorOf(fixture.client(port, options).get({ timeoutMs: 20_000 }));
    expect(error).toBeInstanceOf(QueueConnectionError);
    expect(error.message).toMatch(sentence);
    expect(error.message).not.toMatch(/Resolution note|Last error|\n|undefined/);
    expect(performance.now() - started).toBeLessThan(5000);
  }
}, 30_000);
