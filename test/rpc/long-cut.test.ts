/** What a cut that lasts longer than reattachMs gives twice, and what it does not (docs/adr/0009). */
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('the item whose confirmation was under way comes again, those that were confirmed do not', async () => {
  const { port: direct, backing } = await fixture.serve({ reattachMs: 200 });
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client<string>(port);
  await backing.put('confirmed');
  expect(await queue.get()).toBe('confirmed');
  // An answer shows that the confirmation before it has arrived.
  await queue.qsize();
  const waiting = queue.get();
  await queue.qsize();
  proxy.deaf = 'toServer';
  await backing.put('in flight');
  expect(await waiting).toBe('in flight');
  proxy.refusing = true;
  proxy.cut();
  expect(await backing.get({ timeoutMs: 10_000 })).toBe('in flight');
  await expect(backing.get({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
});
