"""The document that all of this began with: its Python runs as it stands, with only the import line changed."""

import re

import pytest

from conftest import ROOT
from sage_queue import get_registered_queue_types, unregister_queue_implementation

DOCUMENT = ROOT / "test/fixtures/queue-descriptor.zh.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.S)
#: What the document leaves to its reader.
GIVEN = """
import queue
class YourShmQueueImplementation:
    def __init__(self, descriptor): self._queue = queue.Queue()
    def put(self, item, block=True, timeout=None): self._queue.put(item, block, timeout)
    def get(self, block=True, timeout=None): return self._queue.get(block, timeout)
    def empty(self): return self._queue.empty()
    def qsize(self): return self._queue.qsize()
"""


def test_the_document_runs():
    assert len(BLOCKS) == 8
    names = {}
    exec("from typing import Any, Optional\nfrom sage_queue import *\n" + GIVEN, names)  # noqa: S102
    types = set(get_registered_queue_types())
    opened = []
    try:
        for block in BLOCKS[1:]:  # the first one lists the methods of the protocol
            code = block.replace("sage.runtime.communication.queue_descriptor", "sage_queue")
            exec(code, names)  # noqa: S102
            opened += [value for key, value in names.items() if key in ("queue", "local_queue", "shm_queue", "sage_queue")]
            if "data" in names:
                assert names["data"] == "test"
                unregister_queue_implementation("shm")
                del names["data"]
        assert names["queue"].get() == "Hello Custom Queue!"
        assert names["queue"].queue_id == "custom_test" and names["queue"].metadata["custom_param"] == "value"
        assert (names["desc2"], names["json_str"]) == (names["desc2"].from_json(names["json_str"]), names["desc2"].to_json())
        assert set(get_registered_queue_types()) - types == {"my_custom"}
    finally:
        for one in opened:
            getattr(one, "close", lambda: None)()
        unregister_queue_implementation("my_custom")


def test_the_methods_of_its_protocol_are_those_of_every_queue():
    from inspect import signature

    from sage_queue import Queue

    for line in BLOCKS[0].strip().splitlines():
        method, parameters = re.match(r"def (\w+)\((.*)\) ->", line).groups()
        expected = [part.split(":")[0].strip() for part in parameters.split(",") if part.strip()]
        assert list(signature(getattr(Queue, method)).parameters) == expected


def test_what_is_here_is_what_was_asked_for():
    original = ROOT.parent / "shared/mission/queue-descriptor.zh.md"
    if not original.exists():
        pytest.skip("the original is elsewhere")
    assert DOCUMENT.read_text(encoding="utf8") == original.read_text(encoding="utf8")
