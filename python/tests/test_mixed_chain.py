"""Node → Python → C++ → Node, through both types: the same bytes in the same order."""

import hashlib
import os
import subprocess

from mixed.languages import CPP, node, with_all

from sage_queue import get_sage_queue

COUNT = int(os.environ.get("SAGE_QUEUE_ITEMS", "100000"))

SOURCE = """
const hash = require('node:crypto').createHash('sha256'); const q = sq.getSageQueue(given[0]);
for (let n = 0; n < Number(given[1]); n += 50) {
  const batch = Array.from({ length: 50 }, (_, i) => Buffer.from(String(n + i).padStart(64, '.')));
  for (const bytes of batch) hash.update(bytes);
  await q.putMany(batch);
}
console.log(hash.digest('hex')); await q.join(); q.closeSync();
"""
SINK = """
const hash = require('node:crypto').createHash('sha256'); const q = sq.attachToShmQueue(undefined, given[0]);
for (let n = 0; n < Number(given[1]); ) for (const bytes of await q.getMany(500)) { hash.update(bytes); n++; }
console.log(hash.digest('hex')); q.closeSync();
"""


@with_all
def test_a_chain_of_three_languages_keeps_order_and_bytes(name):
    second, third = f"{name}-2", f"{name}-3"
    digest = hashlib.sha256()
    with get_sage_queue(name, maxsize=1000) as first, get_sage_queue(second, maxsize=1000) as to_cpp:
        source = node(SOURCE, name, COUNT, stdout=subprocess.PIPE)
        sink = node(SINK, third, COUNT, stdout=subprocess.PIPE)
        mover = subprocess.Popen([CPP, "move", second, third, str(COUNT)])
        moved = 0
        while moved < COUNT:
            items = first.get_many(500, timeout=60)
            for item in items:
                digest.update(item)
            to_cpp.put_many(items, timeout=60)
            moved += len(items)
        digests = {program.communicate(timeout=60)[0].strip() for program in (source, sink)}
        assert mover.wait(60) == 0
        assert digests == {digest.hexdigest()}
