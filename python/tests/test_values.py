"""Values keep their kind on the way through Python: the vectors that the tests of Node read too, and what Python alone has."""

import datetime
import enum
import json
import math
import os
from array import array
from collections import OrderedDict
from types import MappingProxyType

import numpy
import pytest

from conftest import ROOT
from sage_queue import QueueDescriptor, QueueError, SerializationError, get_sage_queue, values
from sage_queue.codec import JSON, MSGPACK, decode, encode_auto, encoder
from sage_queue.shared import segment_name

VECTORS = ROOT / "test/vectors"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
NAMES = {
    **{name: getattr(values, name) for name in dir(values) if not name.startswith("_")},
    "array": array,
    "math": math,
    "QueueDescriptor": QueueDescriptor,
    "moment": lambda ms: EPOCH + datetime.timedelta(milliseconds=ms),
}


def vectors(file, key):
    return json.loads((VECTORS / file).read_text())[key]


@pytest.mark.parametrize("vector", vectors("msgpack-items.json", "items"), ids=lambda vector: vector["name"])
def test_items_of_every_language(vector):
    data = bytes.fromhex(vector["hex"])
    found = decode(data, MSGPACK)
    assert found == eval(vector["python"], NAMES)  # noqa: S307
    again, codec = encode_auto(found)
    assert codec == MSGPACK and decode(again, codec) == found
    if "ext" not in vector:
        assert again == data


@pytest.mark.parametrize("vector", vectors("msgpack-items.json", "refused"), ids=lambda vector: vector["name"])
def test_items_that_every_language_refuses(vector):
    with pytest.raises(SerializationError):
        decode(bytes.fromhex(vector["hex"]), MSGPACK)


@pytest.mark.parametrize("entries", [[1, "1", 2.5], [values.BigInt(1), 1, True, None, values.Undefined], [2.0**63, 2**63]])
def test_what_only_python_holds_to_be_the_same_is_not_twice(entries):
    found = through([values.JsSet(entries), values.JsMap((entry, 0) for entry in entries)])
    assert len(list(found[0])) == len(entries) and len(found[1].entries) == len(entries)


@pytest.mark.parametrize("vector", vectors("segment-names.json", "segments"), ids=lambda vector: vector["about"])
def test_names_of_every_language(vector):
    expected = vector["name"].replace("{uid}", str(os.getuid()))
    assert segment_name(QueueDescriptor.from_json(vector["descriptor"])) == expected


@pytest.mark.parametrize("vector", vectors("segment-names.json", "refused"), ids=lambda vector: vector["about"])
def test_names_that_every_language_refuses(vector):
    with pytest.raises(QueueError) as refused:
        segment_name(QueueDescriptor.from_json(vector["descriptor"]))
    assert refused.value.code == vector["code"]


def through(value):
    return decode(*encode_auto(value))


class Colour(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"a-b-c")[::2], b"abc"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({1, 2}, {1, 2}),
        (frozenset("a"), {"a"}),
        (2**63, 2**63),
        (2**64, 2**64),
        (-(2**80), -(2**80)),
        ({1: "a", None: "b"}, {1: "a", None: "b"}),
        (Colour.RED, 3),
        (numpy.float64(1.5), 1.5),
        (numpy.int32(7), 7),
        (numpy.array([1, 2], dtype="<i4"), array("i", [1, 2])),
        (numpy.array([1.5, 2]), array("d", [1.5, 2])),
        ("\ud800", "\ud800"),
        ([{"deep": ("\udfff", {1})}], [{"deep": ["\udfff", {1}]}]),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.timezone.utc),) * 2,
    ],
)
def test_what_arrives(value, arrives):
    assert through(value) == arrives


def test_kinds_that_only_javascript_tells_apart_stay():
    for value in (values.BigInt(3), values.JsMap([(1, 2)]), values.ArrayBuffer(b"x"), values.Undefined, values.JsDate(None)):
        found = through([value])[0]
        assert type(found) is type(value) and found == value


def test_an_exception_arrives_as_an_error():
    try:
        raise KeyError("missing") from ValueError("cause")
    except KeyError as error:
        found = through(error)
    assert (found.name, found.message) == ("KeyError", "'missing'")
    assert "test_an_exception" in found.stack and found.fields["cause"].name == "ValueError"


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        lambda: None,
        object(),
        [1, {"a": object()}],
        datetime.datetime(2026, 1, 1),
        numpy.zeros((2, 2)),
        1j,
        [memoryview(b"a-b")[::2]],
        nested(1100),
    ],
)
def test_what_cannot_be_sent_is_refused(name, value):
    with get_sage_queue(name) as queue:
        with pytest.raises(SerializationError) as refused:
            queue.put(value)
        assert refused.value.code == "ERR_ITEM_SERIALIZATION" and queue.qsize() == 0
        queue.put("still works")
        assert queue.get() == "still works"


BYTES_KEY, TWICE = {b"k": 1}, {1: "a", "1": "b"}


@pytest.mark.parametrize("codec", ["auto", "msgpack", "json"])
@pytest.mark.parametrize(
    "value",
    [
        BYTES_KEY,
        TWICE,
        {(1, 2): 3},
        {frozenset([1]): 2},
        {datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc): 1},
        {True: 1, "true": 2},
        {None: 1, "null": 2},
        {1.5: 1, "1.5": 2},
        {2.0: 1, "2": 2},
        [{"a": ({"b": BYTES_KEY},)}],
        OrderedDict(a=[TWICE]),
    ],
)
def test_keys_that_are_no_texts_to_other_languages_are_refused(name, codec, value):
    with get_sage_queue(name, codec=codec) as queue:
        with pytest.raises(SerializationError, match="JsMap"):
            queue.put(value)
        assert queue.qsize() == 0


@pytest.mark.parametrize(
    "value",
    [
        values.JsMap([(b"k", 1), ((1, 2), 3)]),
        {numpy.int64(5): 1, "5.5": 2},
        {"\ud800": 1, "\udfff": 2},
        {2: 1, 1.5: 2, None: 3, True: 4, "s": 5},
        {2**70: 1},
    ],
)
def test_other_keys_go(value):
    encode_auto(value)


@pytest.mark.parametrize("hidden", [values.JsSet, lambda inside: values.JsMap([(1, inside[0])]), MappingProxyType, ValueError])
def test_keys_inside_other_values_are_checked(hidden):
    inside = {"a": BYTES_KEY} if hidden is MappingProxyType else [BYTES_KEY]
    value = hidden(inside) if hidden is not ValueError else values.JsError("E", "m", None, {"own": BYTES_KEY})
    with pytest.raises(SerializationError, match="JsMap"):
        encode_auto([value])


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(SerializationError, match="contains itself"):
        encode_auto(loop)
    assert encode_auto(through(nested(990))) == encode_auto(nested(990))


@pytest.mark.parametrize("data", ["c1", "91", "dd7fffffff", "c7", "d40900", "c70101c0", "810102ff", "d9ff61", "a1ff"])
def test_what_is_no_item_is_an_error(data):
    with pytest.raises(SerializationError) as refused:
        decode(bytes.fromhex(data), MSGPACK)
    assert refused.value.bytes == bytes.fromhex(data) and refused.value.codec_id == MSGPACK


def test_an_item_that_nobody_can_decode_is_removed(name):
    with get_sage_queue(name) as queue:
        for data, codec in ((b"a", 1), (b"\xc1", MSGPACK), (b"b", 1)):
            queue._handle.put(data, codec, 0)
        assert queue.get_many(10) == [b"a"]
        with pytest.raises(SerializationError):
            queue.get_many(10)
        assert queue.get_many(10) == [b"b"]
        queue._handle.put(b"\xc1", MSGPACK, 0)
        with pytest.raises(SerializationError):
            queue.lease()
        assert queue.qsize() == 0 and queue.stats()["leased"] == 0


def test_json(name):
    with get_sage_queue(name, codec="json") as queue:
        queue.put({"a": [1, 2.5, None, "é"]})
        assert queue.get() == {"a": [1, 2.5, None, "é"]}
        for value in (math.nan, {1, 2}, b"x"):
            with pytest.raises(SerializationError):
                queue.put(value)
    with pytest.raises(SerializationError):
        decode(b'{"a": NaN}', JSON)
    with pytest.raises(SerializationError):
        encoder("raw")("text")


def test_what_a_signal_raises_while_an_item_is_read_is_no_damage(name, monkeypatch):
    class Stop(Exception):
        pass

    def stop(_):
        raise Stop

    with get_sage_queue(name) as queue:
        queue.put_many([{"a": 1}, {"a": 2}])
        with monkeypatch.context() as patch:
            patch.setattr("sage_queue.msgpack_codec.decode", stop)
            for call in (queue.lease, lambda: queue.lease_many(2), lambda: queue.get_many(2)):
                with pytest.raises(Stop):
                    call()
        assert queue.lease_many(2).items == [{"a": 1}, {"a": 2}]
        queue.unlink()
