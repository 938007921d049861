"""The actor of a queue on Ray, in the process of a test: calls that come in any order, late or from handles of before. No cluster is needed."""

import asyncio
import sys
import types

import pytest

from sage_queue.ray.actor_source import NAME, SOURCE

NOTHING = [[], [], []]


@pytest.fixture
def actor(monkeypatch):
    """Of the source that goes to the cluster. Of Ray it takes a base class and two exceptions."""
    module = types.ModuleType("ray.util.queue")
    for name, base in (("Empty", Exception), ("Full", Exception), ("_QueueActor", object)):
        setattr(module, name, type(name, (base,), {}))
    for name in ("ray", "ray.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "ray.util.queue", module)
    space = {"__name__": "sage_queue_actor"}
    exec(SOURCE, space)
    made = space[NAME](0)
    made.put_nowait_batch(["first", "second"])
    return made


def _take(actor, owner, epoch, most=1):
    """What is there: the answer comes without a wait."""
    steps = actor.sage_take([owner, epoch, NOTHING, 1, most, 0.0])
    try:
        steps.send(None)
    except StopIteration as answered:
        return answered.value
    raise AssertionError("it waits")


@pytest.fixture
def looped(actor):
    """Calls `test(actor)` on a loop."""

    def run(test):
        async def body():
            test(actor)

        asyncio.run(body())

    return run


def test_a_greeting_that_comes_late_takes_nothing_away(looped):
    def test(actor):
        actor.sage_hello("one", 2, [], 20.0)
        _, [[lease, _, _]] = _take(actor, "one", 2)
        assert actor.sage_hello("one", 1, [], 1.0)["incarnation"] == actor.incarnation
        assert list(actor.leases) == [lease] and actor.owners["one"].lease_seconds == 20.0
        actor.sage_hello("one", 3, [], 20.0)
        assert not actor.leases

    looped(test)


def test_a_handle_settles_its_own_leases_alone(looped):
    def test(actor):
        for owner in ("one", "other"):
            actor.sage_hello(owner, 1, [], 20.0)
        _, [[lease, _, _]] = _take(actor, "one", 1)
        for settle in ([[lease], [], []], [[], [lease], []], [[], [], [lease]]):
            assert actor.sage_state(["other", 1, settle])["leased"] == 1
        assert actor.sage_state(["one", 1, [[lease], [], []]])["leased"] == 0

    looped(test)


@pytest.mark.parametrize("method", ["sage_state", "sage_bye"])
def test_a_call_of_an_earlier_epoch_settles_nothing_and_says_so(looped, method):
    def test(actor):
        actor.sage_hello("one", 1, [], 20.0)
        _, [[lease, _, _]] = _take(actor, "one", 1)
        actor.sage_hello("one", 2, [lease], 20.0)
        assert getattr(actor, method)(["one", 1, [[lease], [], []]])[0] == "stale"
        assert getattr(actor, method)(["nobody", 1, [[lease], [], []]])[0] == "stale"
        assert list(actor.leases) == [lease]

    looped(test)


def test_settling_twice_does_nothing(looped):
    def test(actor):
        actor.sage_hello("one", 1, [], 20.0)
        _, [[first, _, _], [second, _, _]] = _take(actor, "one", 1, 2)
        for _ in range(2):
            state = actor.sage_state(["one", 1, [[first, first], [second], []]])
            assert (state["get_total"], state["redelivered"], state["qsize"]) == (1, 1, 1)

    looped(test)


def test_a_lease_of_a_queue_that_was_drained_is_none_of_the_next_one(looped):
    def test(actor):
        actor.sage_hello("one", 1, [], 20.0)
        _, taken = _take(actor, "one", 1, 2)
        actor.sage_shutdown(False)
        actor.sage_bye(["one", 1, [[lease for lease, _, _ in taken], [], []]])
        assert actor.sage_hello("one", 1, [], 20.0)["generation"] == 2
        actor.put_nowait("of the next one")
        _, [[lease, _, _]] = _take(actor, "one", 1)
        assert lease not in [earlier for earlier, _, _ in taken]

    looped(test)
