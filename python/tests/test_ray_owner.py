"""What a handle on Ray settles, told to an actor that is a list of what was asked. No cluster is needed."""

import asyncio
import concurrent.futures

import pytest

from sage_queue import QueueClosedError, QueueConnectionError, QueueShutDownError
from sage_queue.ray import cluster
from sage_queue.ray import owner as module
from sage_queue.ray.cluster import arun, run
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
        answer = answers.pop(0) if answers else GREETING if method == "sage_hello" else ["ok", []]
        if isinstance(answer, concurrent.futures.Future):
            return answer
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
    run(made.ready())
    return made


def _taken(actor, owner, *leases):
    """A call of the program's that has brought them."""
    actor.answers["sage_take"] = [["ok", [[lease, 1, "item"] for lease in leases]]]
    run(owner.call("sage_take", NUMBER, 1, 0.0, takes=True))


def _under_way(actor, owner, method, *arguments, **options):
    """A call that is not answered yet, and how it goes on with an answer."""
    steps = owner.call(method, *arguments, **options)
    next(steps)

    def goes_on(answer):
        try:
            return steps.send(answer)
        except StopIteration as ended:
            return ended.value

    return steps, goes_on


def test_each_call_takes_along_what_others_under_way_were_to_settle(actor, owner):
    _taken(actor, owner, 1, 2, 3)
    owner.acknowledge([1])
    _under_way(actor, owner, "sage_take", NUMBER, 1, 5.0, wait=5.0, takes=True)
    owner.release([2])
    run(owner.state())
    assert actor.settled() == ([1], [2], [])
    run(owner.state())
    assert actor.settled() == ([], [], []), "one that had them was answered"


def test_what_a_call_of_an_earlier_epoch_was_to_settle_is_held_until_it_is_settled(actor, owner):
    _taken(actor, owner, 1, 2)
    owner.acknowledge([1])
    actor.answers["sage_state"] = [["stale", None]]
    run(owner.state())
    assert actor.held() == [1, 2], "or it would come again, acknowledged as it is"
    assert actor.settled() == ([1], [], [])
    owner.end_epoch()
    run(owner.ready())
    assert actor.held() == [2]


def test_an_actor_of_an_earlier_version_does_not_say_that_a_call_was_stale(actor, owner):
    _taken(actor, owner, 1)
    owner.acknowledge([1])
    _, goes_on = _under_way(actor, owner, "sage_state")
    owner.end_epoch()
    run(owner.ready())
    assert actor.held() == [1]
    assert goes_on({"qsize": 0}).future.done(), "it is asked again"
    assert actor.settled() == ([1], [], [])


def test_what_a_call_was_to_settle_that_failed_rides_again(actor, owner):
    _taken(actor, owner, 1)
    owner.acknowledge([1])
    failed, _ = _under_way(actor, owner, "sage_state")
    with pytest.raises(ConnectionError):
        failed.throw(ConnectionError())
    run(owner.state())
    assert actor.settled() == ([1], [], [])


def test_what_a_call_brings_whose_epoch_is_over_has_gone_back(actor, owner):
    _, goes_on = _under_way(actor, owner, "sage_take", NUMBER, 1, 5.0, wait=5.0, takes=True)
    owner.end_epoch()
    run(owner.ready())
    assert actor.held() == []
    assert goes_on(["ok", [[1, 1, "given back"]]]) == ["ok", []], "whoever waits knows how long it still does"
    owner.end_epoch()
    run(owner.ready())
    assert actor.held() == []


def test_what_comes_in_the_turn_in_which_its_task_is_cancelled_goes_back(actor, owner):
    taken = concurrent.futures.Future()
    actor.answers["sage_take"] = [taken]

    async def cancelled():
        take = owner.call("sage_take", NUMBER, 1, 5.0, wait=5.0, takes=True, abandoned=owner.give_back_unseen)
        task = asyncio.ensure_future(arun(take))
        while actor.asked[-1][0] != "sage_take":
            await asyncio.sleep(0.001)
        taken.set_result(["ok", [[7, 1, "item"]]])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    run(owner.state())
    assert actor.settled() == ([], [], [7])


def test_the_handler_of_a_signal_may_use_a_handle_that_is_introducing_itself(actor, owner, monkeypatch):
    """It runs in between, in the same thread."""
    owner.end_epoch()
    usual = module.submit

    def submit(told, method, *arguments):
        if method == "sage_hello":
            monkeypatch.setattr(module, "submit", usual)
            owner.release([1])
            owner.end_epoch()
            run(owner.state())
        return usual(told, method, *arguments)

    monkeypatch.setattr(module, "submit", submit)
    run(owner.state())
    method, arguments = actor.asked[-1]
    assert (method, arguments[0][1]) == ("sage_state", 3), "in the epoch that began last"


def test_calls_begin_no_epoch_before_its_greeting_is_answered(actor, owner):
    owner.end_epoch()
    late = concurrent.futures.Future()
    actor.answers["sage_hello"] = [late]
    greeting = owner.ready()
    next(greeting)
    steps, goes_on = _under_way(actor, owner, "sage_take", NUMBER, 1, 0.0, takes=True)
    assert actor.asked[-1][0] == "sage_hello", "the take waits for it"
    assert [method for method, _ in actor.asked].count("sage_hello") == 2
    goes_on(GREETING)
    assert actor.asked[-1][0] == "sage_take" and actor.asked[-1][1][0][1] == 2
    steps.close()


def test_a_queue_that_is_another_one_is_so_for_each_call(actor, owner):
    _taken(actor, owner, 1)
    owner.acknowledge([1])
    actor.answers["sage_state"] = [["stale", None]]
    actor.answers["sage_hello"] = [{**GREETING, "generation": 2}]
    for _ in range(2):
        with pytest.raises(QueueShutDownError):
            run(owner.state())
    asked = [method for method, _ in actor.asked]
    assert asked.count("sage_state") == 1, "it would settle what others hold there"


def test_a_handle_that_the_queue_forgets_each_time_says_so(actor, owner):
    actor.answers["sage_state"] = [["stale", None]] * 10
    with pytest.raises(QueueClosedError, match="forgets this handle"):
        run(owner.state())


def test_a_greeting_that_fails_is_made_again(actor, owner):
    owner.end_epoch()
    failed = concurrent.futures.Future()
    failed.set_exception(QueueConnectionError("out of reach"))
    actor.answers["sage_hello"] = [failed]
    with pytest.raises(QueueConnectionError):
        run(owner.state())
    run(owner.state())


def test_one_that_leaves_tells_what_it_has_settled_and_is_known_to_nobody_afterwards(actor, owner):
    _taken(actor, owner, 1)
    owner.acknowledge([1])
    _, goes_on = _under_way(actor, owner, "sage_state")
    owner.leave()
    assert actor.asked[-1][0] == "sage_bye" and actor.settled() == ([1], [], [])
    with pytest.raises(QueueClosedError):
        goes_on(["stale", None])
    assert actor.asked[-1][0] == "sage_bye"


def test_who_leaves_waits_once_for_an_actor_that_falls_silent(actor, owner, monkeypatch):
    """It has to introduce itself again first, which is answered at the last moment."""
    owner.end_epoch()
    now, waited = 0.0, []

    def result_of(future, within):
        nonlocal now
        waited.append(within)
        now += within - 0.5
        return future.result()

    monkeypatch.setattr(cluster, "result_of", result_of)
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now)
    owner.leave()
    assert [method for method, _ in actor.asked[-2:]] == ["sage_hello", "sage_bye"]
    assert waited == [module.ANSWER_WITHIN, 0.5]
