"""Epochs that begin while a get waits: it keeps its time. The actor runs on a loop of its own; no cluster is needed."""

import asyncio
import sys
import threading
import time
import types

import pytest

from sage_queue import QueueDescriptor, QueueEmptyError
from sage_queue.ray import owner as owner_module
from sage_queue.ray import queue as queue_module
from sage_queue.ray.actor_source import NAME, SOURCE
from test_forks import in_a_child


@pytest.fixture
def queue(monkeypatch):
    """Of an actor that holds one item."""
    module = types.ModuleType("ray.util.queue")
    for name, base in (("Empty", Exception), ("Full", Exception), ("_QueueActor", object)):
        setattr(module, name, type(name, (base,), {}))
    ray = types.ModuleType("ray")
    ray.exceptions = types.SimpleNamespace(RayActorError=type("RayActorError", (Exception,), {}))
    ray.is_initialized = lambda: True
    for name, found in (("ray", ray), ("ray.util", types.ModuleType("ray.util")), ("ray.util.queue", module)):
        monkeypatch.setitem(sys.modules, name, found)
    space = {"__name__": "sage_queue_actor"}
    exec(SOURCE, space)
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    actor = space[NAME](1)

    def submit(_actor, method, *arguments):
        async def call():
            found = getattr(actor, method)(*arguments)
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(call(), loop)

    for module in (owner_module, queue_module):
        monkeypatch.setattr(module, "submit", submit)
    made = queue_module.RayQueue(QueueDescriptor(queue_id="jobs", queue_type="ray_queue"), object())
    yield made
    made.close()
    loop.call_soon_threadsafe(loop.stop)
    running.join()


def test_a_get_keeps_its_time_while_puts_beside_it_are_given_up(queue):
    queue.put("leased")
    lease = queue.lease()  # counts towards maxsize: full, and nothing to get

    async def beside():
        async def give_up_again_and_again():
            while True:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(queue.aput("more"), 0.2)

        putting = asyncio.ensure_future(give_up_again_and_again())
        began = time.monotonic()
        with pytest.raises(QueueEmptyError):
            await queue.aget(timeout=0.5)
        putting.cancel()
        return time.monotonic() - began

    assert 0.4 < asyncio.run(beside()) < 5
    lease.ack()
    queue.put("next")
    assert queue.get(timeout=20) == "next"


def test_a_forked_child_ends_no_lease_of_its_parent(queue):
    queue.put("leased")
    lease = queue.lease()

    def child():
        lease.release()
        lease.ack()

    assert in_a_child(child)
    assert queue.stats()["leased"] == 1
    lease.ack()
    assert queue.stats()["leased"] == 0
