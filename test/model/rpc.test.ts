import { holdToReference } from './sequences';
import { startRpcOver } from './types';
import type { QueueType } from './types';

describe.each(['local', 'sage_queue'] as const)('rpc over %s', (type) => {
  let rpc: QueueType;

  beforeAll(async () => {
    rpc = await startRpcOver(type);
  });

  afterAll(() => rpc.end());

  test('does as the reference', () => holdToReference(rpc), 3_600_000);
});
