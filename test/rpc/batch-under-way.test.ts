/** A batch of puts travels as a whole: HTTP/2 by itself would have the client stop after 64 KiB until the server has said that it read them. */
import { TestAuthority } from './support/certificates';
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
let authority: TestAuthority;
beforeAll(() => {
  authority = new TestAuthority();
});
afterEach(() => fixture.end());
afterAll(() => authority.remove());

const COUNT = 4096;

test.each(['in plain text', 'over TLS', 'with another certificate'])(
  'a putMany arrives though nothing of what the server says does, %s',
  async (how) => {
    const tls = how === 'in plain text' ? undefined : authority.issue('localhost');
    const { server, port: direct, backing } = await fixture.serve({ tls });
    if (how === 'with another certificate') server.reload({ tls: authority.issue('localhost') });
    const { proxy, port } = await fixture.proxy(direct);
    const queue = fixture.client<Buffer>(port, tls && { credentials: { ca: authority.ca } });
    await queue.put(Buffer.from('first'));
    proxy.deaf = 'toClient';
    const putting = queue.putMany(Array.from({ length: COUNT }, () => Buffer.alloc(64)));
    const arrived = until(async () => (await backing.qsize()) === 1 + COUNT, 20_000).then(() => {
      proxy.cut();
      proxy.deaf = 'none';
    });
    const [accepted] = await Promise.all([putting, arrived]);
    expect(accepted).toBe(COUNT);
    expect(await backing.qsize()).toBe(1 + COUNT);
  },
);
