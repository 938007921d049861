import { expectOthersKept, ways } from '../transferred';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const CASES = ways.flatMap((way) => [10, 1000, 5000].map((bytes) => [way, bytes] as const));

test.each(CASES)(
  'an item of %s that is transferred to another thread empties no other, of %d bytes',
  async (way, bytes) => {
    const { port } = await fixture.serve();
    await expectOthersKept(fixture.client<Buffer>(port), way, bytes);
  },
);
