"""Node and Python on one queue: items both ways, kinds kept, descriptors and schemas."""

import datetime
import json

from conftest import ROOT
from mixed.languages import node, with_node

from sage_queue import QueueDescriptor, get_sage_queue

pytestmark = with_node


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
