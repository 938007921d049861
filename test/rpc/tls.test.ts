import { readFileSync } from 'node:fs';
import { QueueConnectionError } from '../../lib';
import { QueueServer } from '../../lib/rpc';
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
