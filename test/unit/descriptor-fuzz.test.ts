import { InvalidDescriptorError, QueueDescriptor } from '../../lib/index';
import { seeded } from '../random';

test('mutated texts give a whole descriptor or an InvalidDescriptorError', () => {
  const random = seeded('descriptor fuzz');
  const base = JSON.stringify(QueueDescriptor.createAutoQueue('q', { rpc: { serverAddress: 'h', port: 1 } }));
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    'null',
    '-1',
    '1e999',
    '"__proto__"',
    '"queue_id"',
    '\\u0000',
    '{"a":',
    'true',
    '\ud800',
  ];
  let whole = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = base;
    for (let edits = 1 + random.below(3); edits > 0; edits--) {
      const at = random.below(text.length);
      text = text.slice(0, at) + (random.below(2) === 0 ? random.pick(pieces) : '') + text.slice(at + random.below(4));
    }
    try {
      const { queueId, queueType, metadata, createdTimestamp } = QueueDescriptor.fromJSON(text);
      expect(
        queueId.length > 0 && queueType.length > 0 && Object.isFrozen(metadata) && Number.isFinite(createdTimestamp),
      ).toBe(true);
      whole++;
    } catch (error) {
      if (!(error instanceof InvalidDescriptorError)) throw error;
    }
  }
  expect(whole).toBeGreaterThan(0);
  expect(Object.keys(Object.prototype)).toEqual([]);
});
