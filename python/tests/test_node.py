"""Node and Python on one queue: items both ways, kinds kept, a checksum over a chain, and kills of both with one history."""

import datetime
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from sage_queue import QueueDescriptor, get_sage_queue

NODE = shutil.which("node")
DIST = ROOT / "dist/index.js"
pytestmark = pytest.mark.skipif(
    (NODE is None or not DIST.exists()) and not os.environ.get("CI"), reason="node, and npm run build, are needed"
)
SEED = int(os.environ.get("SAGE_QUEUE_SEED", random.randrange(2**32)))


def node(code, *arguments, **options):
    program = f"const sq = require({json.dumps(str(DIST))}); const given = process.argv.slice(1); (async () => {{ {code} }})();"
    return subprocess.Popen([NODE, "-e", program, *map(str, arguments)], text=True, **options)


def test_values_go_to_node_and_back(name):
    """As it was sent: all kinds of the vectors."""
    items = json.loads((ROOT / "test/vectors/msgpack-items.json").read_text())["items"]
    with get_sage_queue(name) as there, get_sage_queue(f"{name}-b") as back:
        echo = node(
            "const a = sq.getSageQueue(given[0]), b = sq.getSageQueue(given[0] + '-b');"
            "for await (const item of a) await b.put(item);",
            name,
        )
        from sage_queue.codec import MSGPACK, decode

        for vector in items:
            value = decode(bytes.fromhex(vector["hex"]), MSGPACK)
            there.put(value)
            again = back.get(timeout=30)
            assert type(again) is type(value) and again == value, vector["name"]
        for value in (b"raw", bytearray(b"raw"), 2**63, -(2**63), 2**200, {"s": {1, "a"}, "t": (1, 2)}, 0.1, "\ud800"):
            there.put(value)
            assert back.get(timeout=30) == ({**value, "t": [1, 2]} if isinstance(value, dict) else value)
        there.shutdown()
        assert echo.wait(30) == 0


def test_a_descriptor_goes_both_ways(name):
    made = QueueDescriptor.create_sage_queue(name, maxsize=10, namespace="space", capacity_bytes=65536)
    program = node(
        "const d = sq.QueueDescriptor.fromJSON(given[0]); const q = sq.resolveDescriptor(d);"
        "q.putSync(d); q.putSync(sq.QueueDescriptor.createSageQueue(given[1], { maxsize: 10, namespace: 'space', capacityBytes: 65536 }));"
        "await q.join(); q.closeSync();",
        made.to_json(),
        name,
    )
    from sage_queue import resolve_descriptor

    with resolve_descriptor(made) as queue:
        first, second = queue.get(timeout=30), queue.get(timeout=30)
        assert first == made and second == made
        assert first.to_json() == made.to_json()
    assert program.wait(30) == 0


def test_a_schema_is_read_by_name_alone(name):
    schema = {"id": "u32", "big": "i64", "when": "date", "note?": "string"}
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, datetime.timezone.utc)
    with get_sage_queue(name, schema=schema) as there, get_sage_queue(f"{name}-b", schema=schema) as back:
        program = node(
            "const a = sq.getSageQueue(given[0]), b = sq.getSageQueue(given[0] + '-b'); const { id, big, when } = a.getSync();"
            "b.putSync({ id: id + 1, big: big + 1n, when: new Date(when.getTime() + 1), note: 'é' });",
            name,
        )
        there.put({"id": 1, "big": 2**60, "when": moment})
        answer = back.get(timeout=30)
        assert answer == {"id": 2, "big": 2**60 + 1, "when": moment + datetime.timedelta(milliseconds=1), "note": "é"}
        assert program.wait(30) == 0


COUNT = int(os.environ.get("SAGE_QUEUE_ITEMS", "100000"))


def test_a_chain_keeps_order_and_bytes(name):
    """Node → Python → Node, through both types: as many bytes, in the same order."""
    chain = f"{name}-2"
    with get_sage_queue(name, maxsize=1000) as first:
        first_digest = "const h = require('node:crypto').createHash('sha256');"
        source = node(
            f"{first_digest} const q = sq.getSageQueue(given[0]); for (let n = 0; n < Number(given[1]); n += 50) {{"
            "const batch = Array.from({ length: 50 }, (_, i) => Buffer.from(String(n + i).padStart(64, '.')));"
            "for (const b of batch) h.update(b); await q.putMany(batch); }"
            "console.log(h.digest('hex')); await q.join(); q.closeSync();",
            name,
            COUNT,
            stdout=subprocess.PIPE,
        )
        sink = node(
            f"{first_digest} const q = sq.attachToShmQueue(undefined, given[0]); let n = 0;"
            "while (n < Number(given[1])) for (const b of await q.getMany(500)) { h.update(b); n++; }"
            "console.log(h.digest('hex')); q.closeSync();",
            chain,
            COUNT,
            stdout=subprocess.PIPE,
        )
        from sage_queue import attach_to_shm_queue

        digest = hashlib.sha256()
        with attach_to_shm_queue(None, chain) as second:
            moved = 0
            while moved < COUNT:
                items = first.get_many(500, timeout=60)
                for item in items:
                    digest.update(item)
                second.put_many(items, timeout=60)
                moved += len(items)
            digests = {source.communicate(timeout=60)[0].strip(), sink.communicate(timeout=60)[0].strip()}
        assert digests == {digest.hexdigest()}


# ── kills ────────────────────────────────────────────────────────────────────

PUT = {
    "python": """
import sys
from sage_queue import get_sage_queue
queue, stream, log = get_sage_queue(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
number = 0
while True:
    size = number % 7 + 1
    log.write(f"put {stream} {number} {number + size}\\n")
    queue.put_many([f"{stream} {one}" for one in range(number, number + size)])
    log.write(f"ack {stream} {number} {number + size}\\n")
    number += size
""",
    "node": """
const fs = require('node:fs'); const q = sq.getSageQueue(given[0]); const stream = given[1]; const log = fs.openSync(given[2], 'a');
for (let n = 0; ; ) {
  const size = (n % 7) + 1;
  fs.writeSync(log, `put ${stream} ${n} ${n + size}\\n`);
  q.putManySync(Array.from({ length: size }, (_, i) => `${stream} ${n + i}`));
  fs.writeSync(log, `ack ${stream} ${n} ${n + size}\\n`);
  n += size;
}""",
}
GET = {
    "python": """
import sys
from sage_queue import get_sage_queue
queue, receiver, log = get_sage_queue(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
while True:
    with queue.lease() as lease:
        stream, number = lease.item.split()
        log.write(f"hold {stream} {number}\\n")
        lease.ack()
        log.write(f"done {receiver} {stream} {number} {lease.deliveries}\\n")
""",
    "node": """
const fs = require('node:fs'); const q = sq.getSageQueue(given[0]); const receiver = given[1]; const log = fs.openSync(given[2], 'a');
for (;;) {
  const lease = q.leaseSync(); const [stream, number] = lease.item.split(' ');
  fs.writeSync(log, `hold ${stream} ${number}\\n`);
  lease.ackSync();
  fs.writeSync(log, `done ${receiver} ${stream} ${number} ${lease.deliveries}\\n`);
}""",
}
KILLS = int(os.environ.get("SAGE_QUEUE_KILLS", "12"))


def start(language, programs, *arguments):
    code = programs[language]
    return node(code, *arguments) if language == "node" else subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def records(log):
    """The lines that were written whole."""
    return [line.split() for line in log.read_text().split("\n")[:-1]]


def test_kills_of_both_languages_lose_and_double_nothing(name, tmp_path):
    """Producers and consumers in Node and Python are killed at random; what the survivors saw is checked by the shared rules."""
    chance = random.Random(SEED)
    print(f"SAGE_QUEUE_SEED={SEED}")
    logs: list = []
    living: list = []

    def launch(kind, language):
        log = tmp_path / f"{kind}-{len(logs)}"
        log.touch()
        logs.append((kind, log))
        living.append((kind, start(language, PUT if kind == "put" else GET, name, f"{kind}{len(logs)}", log), log))

    with get_sage_queue(name, maxsize=256) as queue:
        for kind in ("put", "get"):
            for language in ("python", "node"):
                launch(kind, language)
        for _ in range(KILLS):
            kind, program, log = living.pop(chance.randrange(len(living)))
            end = time.monotonic() + 60
            while log.stat().st_size < 200:  # it is at work
                assert time.monotonic() < end, "nothing moves"
                time.sleep(0.005)
            time.sleep(chance.random() * 0.03)
            program.send_signal(signal.SIGKILL)
            program.wait()
            launch(kind, chance.choice(["python", "node"]))
        for _, program, _ in living:
            program.kill()
            program.wait()
        left = []
        while True:
            try:
                left.append(queue.get(timeout=1))
            except Exception:
                break
        history = tmp_path / "history"
        history.write_text("\n".join(history_of(logs, left)) + "\n")
    checked = subprocess.run(
        [NODE, ROOT / "test/history/check-history.cjs", history], text=True, capture_output=True, timeout=60
    )
    assert checked.returncode == 0, f"SAGE_QUEUE_SEED={SEED}\n{checked.stdout}{checked.stderr}"
    print(checked.stdout)


def history_of(logs, left):
    """In the words of test/history/check-history.cjs."""
    lines = []
    for kind, log in logs:
        held = None
        for record in records(log):
            if kind == "put":
                lines.append(" ".join(record))
            elif record[0] == "hold":
                held = record[1:]
            else:
                _, receiver, stream, number, deliveries = record
                word = "got" if deliveries == "1" else "again"
                lines.append(f"{word} {receiver} {stream} {number} {int(number) + 1}")
                held = None
        if held is not None:  # killed between its last two words: it may have acknowledged
            lines.append(f"hand {held[0]} {held[1]} {int(held[1]) + 1}")
    for item in left:
        stream, number = item.split()
        lines.append(f"left {stream} {number} {int(number) + 1}")
    return lines
