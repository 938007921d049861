"""Items with a schema: the bytes that every language agrees on, dataclasses and TypedDicts, versions that gain optional fields."""

import asyncio
import dataclasses
import datetime
import json
from typing import Annotated, NotRequired, TypedDict

import pytest

from conftest import ROOT
from sage_queue import ConfigMismatchError, InvalidDescriptorError, SerializationError, get_local_queue, get_sage_queue
from sage_queue.codec import SCHEMA, decode
from sage_queue.schema import codec_of_schema, schema_of
from sage_queue.values import JsDate

VECTORS = json.loads((ROOT / "test/vectors/struct-items.json").read_text())["schemas"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """What stands in the file for what JSON has no word for."""
    if isinstance(value, dict):
        if "$bytes" in value:
            return bytes.fromhex(value["$bytes"])
        if "$date" in value:
            ms = value["$date"]
            return JsDate(None) if ms is None else EPOCH + datetime.timedelta(milliseconds=ms)
        if "$int" in value:
            return int(value["$int"])
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["text"][:40])
def test_items_of_every_language(vector):
    codec = codec_of_schema(vector["schema"])
    assert (codec.text, codec.id) == (vector["text"], vector["id"])
    for entry in vector["items"]:
        data = bytes.fromhex(entry["hex"])
        assert codec.decode(data) == decode(data, SCHEMA) == plain(entry["item"])
        again, kind = codec.encode(plain(entry["item"]))
        assert kind == 5 and codec.decode(again) == plain(entry["item"])
        # MessagePack within a field of any kind may have shorter timestamps here.
        assert again == data or '"any"' in vector["text"]


KINDS = ("bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "int", "f32", "f64", "string", "bytes")
VALUES = (
    *(sign * (2**bits + off) for bits in (0, 7, 8, 15, 16, 31, 32, 53, 63, 64) for sign in (1, -1) for off in (-1, 0, 1)),
    *(True, False, None, 0.5, -0.0, 3e38, 3.5e38, -3.5e38, float("inf"), "", "é", "\ud800", "x" * 300, b"", b"\0" * 300, bytearray(b"a"), [], {}),
)


def outcome(call, *arguments):
    """What it returns, as bytes or text that tells 0.0 from -0.0; or the error."""
    try:
        return repr(call(*arguments))
    except (SerializationError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_ways_to_write_and_read_an_item_are_one(kind):
    """An item is written and read at once where it is as usual, and field by field where it is not."""
    by_field = codec_of_schema({"a": "u8", "b": kind, "c": "string"})
    by_field = type(by_field)(by_field.node)
    pack, unpack = by_field.pack, by_field.unpack
    by_field.pack = by_field.unpack = lambda _: None
    at_once = 0
    for value in VALUES:
        item = {"a": 1, "b": value, "c": "end"}
        packed = pack(item)
        at_once += packed is not None
        if packed is None:
            continue
        assert by_field.encode(item) == (packed, 5)
        for data in (packed, packed + b"\0", packed[:-1] + b"\1", *(packed[:end] for end in range(len(packed)))):
            found = unpack(data)
            if found is not None:
                assert repr(found) == outcome(by_field.decode, data)
        assert repr(unpack(packed)) == outcome(by_field.decode, packed) != "None"
        damaged = bytearray(packed)
        for at in range(len(damaged)):
            for wrong in (0, 1, 2, 0x7F, 0x80, 0xFF):
                damaged[at] = wrong
                found = unpack(bytes(damaged))
                assert found is None or at < 4 or repr(found) == outcome(by_field.decode, bytes(damaged))
            damaged[at] = packed[at]
    assert at_once >= 2
    # What can be written in one way can be in the other, but for what is rarely there: bytes of another type, an int's subclass.
    for value in VALUES:
        item = {"a": 1, "b": value, "c": "end"}
        assert pack(item) is not None or isinstance(value, bytearray) or outcome(by_field.encode, item) is SerializationError


def test_the_bytes_of_every_language_field_by_field():
    for vector in VECTORS:
        codec = codec_of_schema(vector["schema"])
        codec = type(codec)(codec.node)
        codec.pack = codec.unpack = lambda _: None
        for entry in vector["items"]:
            assert codec.decode(bytes.fromhex(entry["hex"])) == plain(entry["item"])
            assert codec.encode(plain(entry["item"])) == codec_of_schema(vector["schema"]).encode(plain(entry["item"]))


class Order(TypedDict):
    id: Annotated[int, "u32"]
    tags: list[str]
    note: NotRequired[str]


@dataclasses.dataclass
class Point:
    x: float
    y: float
    label: str | None = None


def test_schemas_of_types():
    assert schema_of(Order) == {"id": "u32", "tags": ["string"], "note?": "string"}
    assert schema_of(Point) == {"x": "f64", "y": "f64", "label?": "string"}
    with pytest.raises(InvalidDescriptorError):
        schema_of(int)


def test_dataclasses_and_dicts(name):
    with get_sage_queue(name, schema=Point) as queue, get_sage_queue(name) as by_name:
        queue.put(Point(1, 2.5, "a"))
        queue.put({"x": 1.0, "y": 2.0})
        assert by_name.get_many(2) == [{"x": 1.0, "y": 2.5, "label": "a"}, {"x": 1.0, "y": 2.0}]
        by_name.put({"x": 3.0, "y": 4.0})
        assert queue.get() == {"x": 3.0, "y": 4.0}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"id": -1, "tags": []}, r"^id: u32 expected, found -1"),
        ({"id": 1, "tags": ["a", "b", 7]}, r"^tags\[2\]: string expected, found 7"),
        ({"id": 1}, r"^tags: list expected, found None"),
        ({"id": True, "tags": []}, r"^id: u32"),
        ({"id": 1, "tags": [], "other": 1}, r"^other: no such field"),
        ({"id": 1, "tags": [], "note": 5}, r"^note: string expected"),
        (7, r"^object expected"),
    ],
)
def test_what_does_not_fit_is_refused(name, item, message):
    for queue in (get_sage_queue(name, schema=Order), get_local_queue(name, schema=Order)):
        with pytest.raises(SerializationError, match=message):
            queue.put(item)
        assert queue.qsize() == 0
        queue.close()


def test_a_schema_may_gain_optional_fields(name):
    with get_sage_queue(name, schema={"id": "u32"}) as old, get_sage_queue(name, schema={"id": "u32", "note?": "string"}) as new:
        new.put({"id": 1, "note": "x"})
        assert old.get()["id"] == 1
        old.put({"id": 2})
        assert new.get() == {"id": 2}
        for other in ({"id": "u8"}, {"id": "u32", "more": "u8"}, "string"):
            with pytest.raises(ConfigMismatchError):
                get_sage_queue(name, schema=other)
    with get_sage_queue(name), pytest.raises(ConfigMismatchError):
        get_sage_queue(name, schema={"id": "u32"})


@pytest.mark.parametrize("schema", ["u7", [], ["u8", "u8"], {}, {"": "u8"}, {"__proto__": "u8"}, {"a": "u8", "a?": "u8"}])
def test_what_is_no_schema_is_refused(name, schema):
    with pytest.raises(InvalidDescriptorError):
        get_sage_queue(name, schema=schema)


def first_of(queue):
    for item in queue:
        return item


TAKES = {
    "get": lambda queue: queue.get(timeout=5),
    "get_many": lambda queue: queue.get_many(9),
    "lease": lambda queue: queue.lease(),
    "lease_many": lambda queue: queue.lease_many(9),
    "iteration": first_of,
    "aget": lambda queue: asyncio.run(queue.aget(timeout=5)),
    "alease": lambda queue: asyncio.run(queue.alease(timeout=5)),
}


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_an_item_of_an_unknown_schema_stays_for_others(name, take):
    foreign = bytes([9, 9, 9, 9, 1])
    with get_sage_queue(name) as queue:
        queue._handle.put(foreign, SCHEMA, None)
        queue.put("behind")
        for _ in range(3):
            with pytest.raises(SerializationError, match=r"id 09090909\) is not known here.*It is still in the queue\.$") as refused:
                take(queue)
            assert refused.value.code == "ERR_ITEM_SERIALIZATION" and refused.value.bytes is None
        assert queue.stats()["leased"] == 0
        for expected in (True, False):  # what was given back comes one by one
            (item,) = queue._handle.lease(1, 0.0)
            assert (item.copy() == foreign, item.deliveries) == (expected, 1)
            item.finish()


def lease_and_ack(queue):
    with queue.lease_many(9) as batch:
        batch.ack()
        return batch.items


@pytest.mark.parametrize("take", [TAKES["get_many"], lease_and_ack], ids=["get_many", "lease_many"])
def test_what_lies_in_front_of_one_of_an_unknown_schema_is_taken(name, take):
    with get_sage_queue(name) as queue:
        queue.put("front")
        queue._handle.put(bytes([9, 9, 9, 9, 1]), SCHEMA, None)
        queue.put("behind")
        assert take(queue) == ["front"]
        with pytest.raises(SerializationError):
            take(queue)
        assert queue.qsize() == 2
        queue.unlink()
