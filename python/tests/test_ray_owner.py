"""What a handle on Ray settles, told to an actor that is a list of what was asked. No cluster is needed."""

import concurrent.futures

import pytest

from sage_queue import QueueConnectionError
from sage_queue.ray import owner as module
from sage_queue.ray.cluster import run
from sage_queue.ray.owner import NUMBER, Owner

GREETING = {"maxsize": 0, "applied": 0, "generation": 1, "incarnation": "one"}


class Actor:
    """Answers what it is told to; what it was asked is in `asked`, by method."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.answers = {}
        monkeypatch.setattr(module, "submit", self._submit)

    def _submit(self, actor, method, *arguments):
        assert actor is self
        self.asked.append((method, arguments))
        future = concurrent.futures.Future()
        answers = self.answers.get(method, [])
        answer = answers.pop(0) if answers else GREETING if method == "sage_hello" else ["ok", None]
        if answer is not None:
            future.set_result(answer)
        return future

    def settled(self, index=-1):
        method, arguments = self.asked[index]
        assert method != "sage_hello"
        return arguments[0][2]

    def held(self):
        return next(arguments[2] for method, arguments in reversed(self.asked) if method == "sage_hello")


@pytest.fixture
def actor(monkeypatch):
    return Actor(monkeypatch)


@pytest.fixture
def owner(actor, monkeypatch):
    made = Owner(actor, 1000.0)
    monkeypatch.setattr(made, "_speak_up", lambda: None)  # nobody else asks here
    run(made.hello())
    return made


def _under_way(owner, *call, **options):
    """A call that is not answered."""
    steps = owner.call(*call, **options)
    next(steps)
    return steps


def test_each_call_takes_along_what_others_under_way_were_to_settle(actor, owner):
    owner.hold([1, 2, 3])
    owner.acknowledge([1])
    actor.answers["sage_take"] = [None]
    _under_way(owner, "sage_take", NUMBER, 1, 5.0, wait=5.0)
    owner.release([2])
    run(owner.state())
    assert actor.settled() == ([1], [2], [])
    run(owner.state())
    assert actor.settled() == ([], [], []), "one that had them was answered"


def test_what_a_call_of_an_earlier_epoch_was_to_settle_is_held_until_it_is_settled(actor, owner):
    owner.hold([1, 2])
    owner.acknowledge([1])
    actor.answers["sage_state"] = [["stale", None]]
    run(owner.state())
    assert actor.held() == [1, 2], "or it would come again, acknowledged as it is"
    assert actor.settled() == ([1], [], [])
    run(owner.hello())
    assert actor.held() == [2]


def test_what_a_call_was_to_settle_that_failed_rides_again(actor, owner):
    owner.hold([1])
    owner.acknowledge([1])
    failed = _under_way(owner, "sage_state")
    with pytest.raises(ConnectionError):
        failed.throw(ConnectionError())
    run(owner.state())
    assert actor.settled() == ([1], [], [])


def test_a_handle_that_the_queue_forgets_each_time_says_so(actor, owner):
    actor.answers["sage_state"] = [["stale", None]] * 10
    with pytest.raises(QueueConnectionError, match="forgot this handle"):
        run(owner.state())
