"""Steps of a call on Ray, run in a thread and on a loop: both go on alike. No cluster is needed."""

import asyncio
import concurrent.futures
import threading

import pytest

from sage_queue.ray.cluster import Ask, arun, run


class Call:
    """What a call asks, and what it was told."""

    def __init__(self, *futures, within=10.0):
        self.futures = futures
        self.within = within
        self.told = []
        self.abandoned = []

    def steps(self):
        for future in self.futures:
            try:
                self.told.append((yield Ask(future, self.within, lambda future=future: self.abandoned.append(future))))
            except ValueError as error:
                self.told.append(f"wrong: {error}")
        return len(self.told)


def _answered(value):
    future = concurrent.futures.Future()
    future.set_exception(value) if isinstance(value, BaseException) else future.set_result(value)
    return future


@pytest.fixture(params=["thread", "loop"])
def follow(request):
    return run if request.param == "thread" else lambda steps: asyncio.run(arun(steps))


def test_answers_go_to_the_steps_in_turn_and_what_they_return_is_the_result(follow):
    late = concurrent.futures.Future()
    threading.Timer(0.05, late.set_result, ("second",)).start()
    call = Call(_answered("first"), late)
    assert follow(call.steps()) == 2
    assert call.told == ["first", "second"] and call.abandoned == []


def test_a_call_that_asks_nothing_is_over_at_once(follow):
    assert follow(Call().steps()) == 0


def test_what_an_answer_raises_is_raised_in_the_steps_which_may_go_on(follow):
    call = Call(_answered(ValueError("no")), _answered("yes"))
    assert follow(call.steps()) == 2
    assert call.told == ["wrong: no", "yes"] and call.abandoned == []


def test_what_the_steps_do_not_catch_ends_the_call(follow):
    call = Call(_answered(KeyError("gone")), _answered("never"))
    with pytest.raises(KeyError):
        follow(call.steps())
    assert call.told == []


def test_an_answer_that_takes_too_long_is_abandoned(follow):
    silent = concurrent.futures.Future()
    call = Call(silent, within=0.05)
    with pytest.raises(TimeoutError):
        follow(call.steps())
    assert call.abandoned == [silent] and not silent.cancelled()


def test_a_task_that_is_cancelled_abandons_the_call():
    silent = concurrent.futures.Future()
    call = Call(silent)

    async def cancelled():
        task = asyncio.create_task(arun(call.steps()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert call.abandoned == [silent]


def test_a_signal_ends_the_wait_of_a_thread(monkeypatch):
    silent = concurrent.futures.Future()
    call = Call(silent)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(silent, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(call.steps())
    assert call.abandoned == [silent]
