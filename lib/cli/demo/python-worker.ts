/** The worker of role.ts in Python, on the package `sage_queue`: beside those in Node, on the same queues. */
import { spawnSync } from 'node:child_process';
import { UsageError } from '../command';
import { PYTHON_SUMS } from './python-sums';

const SOURCE = `${PYTHON_SUMS}
import json
import os
import sys
import threading

from sage_queue import QueueShutDownError, resolve_descriptor


def end_with_the_parent():
    sys.stdin.read()
    os._exit(1)


def tell(**news):
    print(json.dumps(news), flush=True)


def work(records_queue, results_queue, group_field, value_field):
    records = resolve_descriptor(records_queue, create="never")
    results = resolve_descriptor(results_queue, create="never")
    tell(kind="ready")
    batches = redelivered = 0
    while True:
        try:
            lease = records.lease()
        except QueueShutDownError:
            break
        redelivered += lease.deliveries > 1
        groups = partial_of(lease.item["records"], group_field, value_field or None)
        results.put({"number": lease.item["number"], "groups": groups})
        lease.ack()
        batches += 1
    records.close()
    results.close()
    tell(kind="worked", batches=batches, redelivered=redelivered)


threading.Thread(target=end_with_the_parent, daemon=True).start()
try:
    work(*sys.argv[1:])
except Exception as error:
    tell(kind="failed", message=str(error))
    sys.exit(1)
`;

/** @throws UsageError where there is no Python with the package. */
export function pythonWorker(): readonly string[] {
  const python = process.env.PYTHON ?? 'python3';
  const { status, error, stderr } = spawnSync(python, ['-c', 'import sage_queue'], { encoding: 'utf8' });
  if (status === 0) return [python, '-c', SOURCE];
  const why = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  throw new UsageError(
    `--with-python needs Python 3.11 or later with the package sage-queue (pip install sage-queue); PYTHON names another ` +
      `interpreter than ${python}, which says: ${why}`,
  );
}
