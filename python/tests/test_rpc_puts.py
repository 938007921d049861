"""What a put is told that one server had and the next one refuses, and several that one event ends."""

from types import SimpleNamespace

import pytest
from sage_queue import QueueConnectionError, QueueShutDownError

pytest.importorskip("grpc")

from sage_queue.rpc.wire import load  # noqa: E402
from sage_queue.rpc.puts import Puts  # noqa: E402
from sage_queue.waker import ThreadWaker  # noqa: E402

ITEM = (b"item", 1)


class Stream:
    """What the server of a stream is sent and says, in the place of a client's connection."""

    def __init__(self):
        self.messages = load()[1]
        self.connection = SimpleNamespace(flush=lambda: None, is_open=True, where="there")
        self.puts = Puts(self)

    def open(self, *, same_instance):
        opened = self.messages.Opened(window_items=100, window_bytes=1000, max_item_bytes=100, remembered=True)
        return self.puts.on_opened(opened, same_instance)

    def put_many(self, count):
        call = self.puts.call_of_many(None, ThreadWaker())
        call.start()
        self.puts.feed(call, [ITEM] * count, False)
        return call

    def send(self):
        frame = self.messages.ClientFrame()
        self.puts.collect(frame)

    def refuse(self, first, count):
        result = self.messages.PutResult()
        rejection = result.rejected.add(code="ERR_QUEUE_SHUT_DOWN", message="no more")
        rejection.puts.CopyFrom(self.messages.Range(first=first, count=count))
        self.puts.on_result(result)


@pytest.mark.parametrize("same_instance, outcome", [(True, None), (False, "unknown")])
def test_a_put_that_an_earlier_server_had_may_be_in(same_instance, outcome):
    stream = Stream()
    stream.open(same_instance=True)
    call = stream.put_many(1)
    stream.send()
    stream.open(same_instance=same_instance)
    stream.refuse(1, 1)
    assert isinstance(call.error, QueueShutDownError)
    assert call.error.outcome == outcome


def test_each_put_has_an_error_of_its_own():
    stream = Stream()
    calls = [stream.put_many(1), stream.put_many(2)]
    stream.puts.fail_unsent(QueueConnectionError("the server is stopping"))
    first, second = (call.error for call in calls)
    assert first is not second
    assert str(first) == str(second) == "the server is stopping"
