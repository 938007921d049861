"""Queues on a real cluster of Ray: what Node puts Python gets and the other way, on one actor; and on actors of other people."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from conftest import NODE, ROOT
from test_page import blocks_run_by
from sage_queue import (
    ConfigMismatchError,
    InvalidDescriptorError,
    QueueClosedError,
    QueueConnectionError,
    QueueDescriptor,
    QueueEmptyError,
    QueueExistsError,
    QueueFullError,
    QueueNotFoundError,
    QueueShutDownError,
    QueueTimeoutError,
    SerializationError,
    resolve_descriptor,
)

ray = pytest.importorskip("ray")
#: A driver's own processes start slowly on a busy machine.
LONG = 60
ADDRESS = os.environ["PYTHON_RAY_ADDRESS"]
NODE_ADDRESS = os.environ["RAY_ADDRESS"]


@pytest.fixture
def name(name):
    unique = f"{name}-{time.monotonic_ns()}"
    yield unique
    try:
        ray.kill(ray.get_actor(unique, namespace="sage_queue"))
    except (ValueError, RuntimeError):
        pass


@pytest.fixture(scope="module", autouse=True)
def driver():
    yield
    ray.shutdown()


def described(name, **options):
    return QueueDescriptor.create_ray_queue(name, address=ADDRESS, **options)


def node(code, *arguments):
    program = (
        f"const sq = require({json.dumps(str(ROOT / 'dist/index.js'))}); const given = process.argv.slice(1);"
        f"const open = (name, o) => sq.resolveDescriptor(sq.QueueDescriptor.createRayQueue(name, {{ address: {json.dumps(NODE_ADDRESS)}, ...o }}));"
        f"(async () => {{ {code} }})();"
    )
    return subprocess.Popen([NODE, "-e", program, *map(str, arguments)], text=True, stdout=subprocess.PIPE)


def until(condition, seconds=LONG):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.01)


@pytest.mark.parametrize("maker", ["python", "node"])
def test_node_and_python_share_an_actor(name, maker):
    """Whoever makes it, it is the same one; each gets what the other put, in order."""
    echo = (
        "const a = open(given[0]), b = open(given[0] + '-b'); for (;;) { const item = await a.get();"
        "if (item === 'end') break; await b.put(item); } console.log((await a.stats()).promises.delivery);"
        "await a.close(); await b.close();"
    )
    program = node(echo, name) if maker == "node" else None
    if program is not None:
        until(lambda: exists(name))  # the other one is made by whoever comes first
    with resolve_descriptor(described(name)) as there, resolve_descriptor(described(f"{name}-b")) as back:
        program = program or node(echo, name)
        values = [1, 2**60, 1.5, "é", b"bytes", None, True, [1, [2]], {"a": {"b": 1}}, {1, 2}, (1, 2)]
        there.put_many(values, timeout=LONG)
        there.put("end", timeout=LONG)
        got = []
        while len(got) < len(values):
            got += back.get_many(100, timeout=LONG)
        assert got == [*values[:-1], [1, 2]] or got == values
        assert program.communicate(timeout=LONG)[0] == "at-least-once\n"
    ray.kill(ray.get_actor(f"{name}-b", namespace="sage_queue"))


def exists(name):
    try:
        resolve_descriptor(described(name), create="never").close()
    except QueueNotFoundError:
        return False
    return True


def test_the_contract(name):
    with resolve_descriptor(described(name, maxsize=5)) as queue, resolve_descriptor(described(name)) as other:
        with pytest.raises(QueueEmptyError):
            queue.get_nowait()
        with pytest.raises(QueueFullError) as full:
            queue.put_many(range(8), timeout=0.2)
        assert full.value.accepted == 5 and queue.full() and queue.qsize() == 5
        with pytest.raises(QueueFullError):
            queue.put(9, block=False)
        with queue.lease(timeout=LONG) as lease:
            assert (lease.item, lease.deliveries) == (0, 1)
        with queue.lease(timeout=LONG) as lease:
            assert (lease.item, lease.deliveries) == (0, 2)
            lease.ack()
        with queue.lease_many(3, timeout=LONG) as batch:
            assert batch.items == [1, 2, 3] and queue.stats()["leased"] == 3
            with pytest.raises(QueueTimeoutError):
                other.join(0.1)
            batch.leases[1].ack()
            batch.leases[0].release()
            batch.ack()
        assert other.get_many(10, timeout=LONG) == [1, 4]
        other.join(LONG)
        thread = threading.Timer(0.2, other.put, ["late"])
        thread.start()
        assert queue.get(timeout=LONG) == "late"
        thread.join()
        with pytest.raises(SerializationError):
            queue.put(threading.Lock())
        queue.put("next", timeout=LONG)  # its number is the next one all the same
        assert other.get(timeout=LONG) == "next"
        queue.put("last")
        queue.shutdown()
        with pytest.raises(QueueShutDownError):
            other.put(1)
        assert list(other) == ["last"]


def test_what_is_refused(name):
    with pytest.raises(QueueNotFoundError):
        resolve_descriptor(described(name), create="never")
    with resolve_descriptor(described(name, maxsize=5), create="exclusive"):
        with pytest.raises(QueueExistsError):
            resolve_descriptor(described(name), create="exclusive")
        with pytest.raises(ConfigMismatchError):
            resolve_descriptor(described(name, maxsize=6))
        with pytest.raises(InvalidDescriptorError):
            resolve_descriptor(described(name), producer=True)


def test_asyncio(name):
    async def main():
        with resolve_descriptor(described(name)) as queue:
            order = []

            async def get(number):
                order.append(await queue.aget(LONG))

            tasks = [asyncio.create_task(get(number)) for number in range(6)]
            await asyncio.sleep(0.2)
            for task in tasks[:3]:
                task.cancel()
            for number in range(3):
                await queue.aput(number, LONG)
            await asyncio.gather(*tasks, return_exceptions=True)
            assert sorted(order) == [0, 1, 2]
            with pytest.raises(QueueEmptyError):
                await queue.aget(0.05)
            await queue.aput("lent", LONG)
            with await queue.alease(LONG) as lease:
                assert lease.item == "lent"
                lease.ack()

    asyncio.run(main())


def test_puts_of_many_threads_are_in_once(name):
    with resolve_descriptor(described(name)) as queue:
        threads = [
            threading.Thread(target=lambda stream=stream: queue.put_many([(stream, n) for n in range(200)], LONG))
            for stream in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        got = queue.get_many(1000, timeout=LONG)
        assert got == [(stream, n) for stream in dict.fromkeys(s for s, _ in got) for n in range(200)]
        assert len(got) == 600


def test_ctrl_c_loses_nothing(name):
    """What comes for a get that was interrupted goes back, as if it had not been delivered."""
    program = (
        "import sys, threading, time, sage_queue as sq\n"
        f"queue = sq.resolve_descriptor(sq.QueueDescriptor.create_ray_queue({name!r}, address={ADDRESS!r}))\n"
        "print('ready', flush=True)\n"
        "try: queue.get()\n"
        "except KeyboardInterrupt: print(time.monotonic(), flush=True)\n"
        "sys.stdin.readline()\n"
        "queue.close()\n"
    )
    with resolve_descriptor(described(name)) as queue:
        child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        until(lambda: queue.stats()["waiting_getters"] == 1)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert float(child.stdout.readline()) - start < 1
        queue.put("item", timeout=LONG)
        with queue.lease(timeout=LONG) as lease:
            assert (lease.item, lease.deliveries) == ("item", 1)
            lease.ack()
        child.communicate("\n", timeout=LONG)


def test_an_item_of_a_killed_consumer_comes_again(name):
    program = (
        "import time, sage_queue as sq\n"
        f"d = sq.QueueDescriptor({name!r}, 'ray_queue', {{'address': {ADDRESS!r}, 'lease_ms': 1000}})\n"
        "queue = sq.resolve_descriptor(d)\n"
        "lease = queue.lease()\n"
        "print('holds', flush=True)\n"
        "time.sleep(1000)\n"
    )
    with resolve_descriptor(described(name)) as queue:
        queue.put("item", timeout=LONG)
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "holds\n"
        with pytest.raises(QueueEmptyError):
            queue.get(timeout=2.5)  # it lives, and says so
        child.kill()
        child.communicate()
        with queue.lease(timeout=LONG) as lease:
            assert (lease.item, lease.deliveries) == ("item", 2)
            lease.ack()


def test_the_death_of_the_actor_is_said_once(name):
    with resolve_descriptor(described(name)) as queue:
        queue.put(1, timeout=LONG)
        ray.kill(ray.get_actor(name, namespace="sage_queue"))

        def says_so():
            try:
                queue.qsize()
            except QueueConnectionError as error:
                assert "gone" in str(error)
                return True
            return False

        until(says_so)
        until(lambda: exists(name) or True)

        def attached():
            try:
                return queue.qsize() == 0
            except QueueConnectionError:
                return False

        until(attached)
        queue.put(2, timeout=LONG)
        assert queue.get(timeout=LONG) == 2


def test_a_handle_is_closed(name):
    queue = resolve_descriptor(described(name))
    queue.put(1, timeout=LONG)
    lease = queue.lease(timeout=LONG)
    queue.close()
    with pytest.raises(QueueClosedError):
        queue.get()
    with pytest.raises(QueueClosedError):
        lease.ack()
    with resolve_descriptor(described(name)) as other:
        assert other.get(timeout=LONG) == 1


def test_the_queue_of_ray_itself(name):
    """Made in Python by ray.util.queue: at most once, by its own methods."""
    from ray.util.queue import Queue

    resolve_descriptor(described(f"{name}-warm")).close()  # connects
    theirs = Queue(2, actor_options={"name": name, "namespace": "sage_queue", "num_cpus": 0})
    with resolve_descriptor(QueueDescriptor.create_ray_actor_queue("id", name, address=ADDRESS)) as ours:
        theirs.put("theirs")
        assert ours.get(timeout=LONG) == "theirs"
        ours.put_many([1, 2], timeout=LONG)
        with pytest.raises(QueueFullError):
            ours.put(3, timeout=0.1)
        assert ours.full() and theirs.get() == 1
        with ours.lease(timeout=LONG) as lease:
            assert lease.item == 2
        assert ours.get(timeout=LONG) == 2
        with pytest.raises(QueueEmptyError):
            ours.get(timeout=0.1)
        with pytest.raises(QueueEmptyError):
            ours.get(block=False)
        assert asyncio.run(asyncio_both(ours)) == "through a loop"
    ray.kill(ray.get_actor(f"{name}-warm", namespace="sage_queue"))


async def asyncio_both(queue):
    await queue.aput("through a loop", LONG)
    return await queue.aget(LONG)


def test_an_actor_of_ones_own(name):
    resolve_descriptor(described(f"{name}-warm")).close()

    class Stack:
        def __init__(self):
            self.items = []

        def put(self, item):
            self.items.append(item)

        def get(self):
            return self.items.pop()

        def empty(self):
            return not self.items

        def qsize(self):
            return len(self.items)

    class Mute:
        def put(self, item):
            pass

    actor = ray.remote(Stack).options(name=name, namespace="sage_queue", num_cpus=0).remote()
    mute = ray.remote(Mute).options(name=f"{name}-mute", namespace="sage_queue", num_cpus=0).remote()
    with resolve_descriptor(QueueDescriptor.create_ray_actor_queue(None, name, address=ADDRESS)) as queue:
        queue.put_many([1, 2], timeout=LONG)
        assert queue.qsize() == 2 and queue.get_many(5, timeout=LONG) == [2, 1]
        with pytest.raises(QueueEmptyError):
            queue.get(timeout=0.1)
    with pytest.raises(QueueConnectionError, match="no queue"):
        resolve_descriptor(QueueDescriptor.create_ray_actor_queue(None, f"{name}-mute", address=ADDRESS))
    ray.kill(actor)
    ray.kill(mute)
    ray.kill(ray.get_actor(f"{name}-warm", namespace="sage_queue"))


def test_the_page(name, capsys):
    (block,) = blocks_run_by('python/tests/test_ray.py')  # a literal: the documents' tests look for it
    for there, here in (('"jobs"', repr(name)), ('"ray://head:10001"', repr(ADDRESS))):
        assert there in block
        block = block.replace(there, here)
    exec(block, {"resolve_descriptor": resolve_descriptor, "QueueDescriptor": QueueDescriptor})
    assert capsys.readouterr().out == "{'image': 'a.png'}\n"


def test_the_actor_is_the_one_that_node_makes():
    script = [sys.executable, ROOT / "scripts/build/python-ray-actor.py", "--print"]
    written = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert written == (ROOT / "python/src/sage_queue/ray/actor_source.py").read_text(), "run scripts/build/python-ray-actor.py"
