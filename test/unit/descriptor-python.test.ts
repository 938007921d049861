import { execFileSync } from 'node:child_process';
import { QueueDescriptor } from '../../lib/index';

// The receiving end as SAGE has it: a dataclass filled from json.
const dataclass = `
import json, sys
from dataclasses import dataclass, asdict
@dataclass
class QueueDescriptor:
    queue_id: str
    queue_type: str
    metadata: dict
    created_timestamp: float
`;

function python(program: string, input: string): string {
  return execFileSync('python3', ['-c', dataclass + program], { input, encoding: 'utf8' });
}

test('Python reads what is written here', () => {
  const sent = QueueDescriptor.createSageQueue('队列 👍', { namespace: 'a', maxsize: 3 });
  const seen = python('d = QueueDescriptor(**json.load(sys.stdin)); print(d.queue_id, type(d.created_timestamp).__name__, d.metadata["maxsize"])', JSON.stringify(sent)); // prettier-ignore
  expect(seen.trim()).toBe('队列 👍 float 3');
});

test('what Python writes is read here, and survives the way there and back', () => {
  const sent = QueueDescriptor.createShmQueue('id', '名', { maxsize: 9 });
  const text = python('print(json.dumps(asdict(QueueDescriptor(**json.load(sys.stdin)))))', JSON.stringify(sent));
  expect(text).toContain('\\u540d');
  const received = QueueDescriptor.fromJSON(text);
  expect(received.equals(sent)).toBe(true);
  expect(received.createdTimestamp).toBe(sent.createdTimestamp);
});
