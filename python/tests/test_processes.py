"""Processes: multiprocessing in all three ways, concurrent.futures, forks, kills, signals, and the end of an interpreter."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from sage_queue import (
    QueueDescriptor,
    QueueNotFoundError,
    QueueProducerLostError,
    QueueShutDownError,
    get_sage_queue,
    resolve_descriptor,
)


def double(descriptor, results):
    with resolve_descriptor(descriptor) as queue, resolve_descriptor(results) as answers:
        for number in queue:
            answers.put(2 * number)


def put_range(queue, first, last):
    queue.put_many(range(first, last))
    queue.close()


def run(code, *arguments, **options):
    """A program of its own."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *arguments], **options)


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(name, method):
    context = multiprocessing.get_context(method)
    jobs, results = QueueDescriptor.create_sage_queue(name), QueueDescriptor.create_sage_queue(f"{name}-r")
    with resolve_descriptor(jobs) as queue, resolve_descriptor(results) as answers:
        workers = [context.Process(target=double, args=(jobs, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        queue.put_many(range(500))
        got = sorted(answers.get(timeout=30) for _ in range(500))
        queue.shutdown()
        for worker in workers:
            worker.join(30)
            assert worker.exitcode == 0
        assert got == [2 * number for number in range(500)]


def test_a_queue_as_an_argument(name):
    """It pickles as its descriptor, for pools too."""
    with get_sage_queue(name) as queue, ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(put_range, queue, 100 * part, 100 * part + 100) for part in range(3)]:
            future.result(60)
        assert sorted(queue.get_many(1000)) == list(range(300))


def test_a_forked_child_goes_on_with_the_handle(name):
    queue = get_sage_queue(name)
    sleeper = threading.Thread(target=lambda: queue.put(("woke", queue.get())))
    sleeper.start()
    wait_until(lambda: queue.stats()["waiting_getters"] == 1)
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(100):
                    queue.put((child, number))
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    sleeper.join(20)
    got = queue.get_many(1000)
    (woke,) = [entry[1] for entry in got if entry[0] == "woke"]
    for child in range(4):
        numbers = [entry[1] for entry in [*([woke] if woke[0] == child else []), *got] if entry[0] == child]
        assert numbers == list(range(100))


def test_a_forked_child_ends_nothing_that_its_parent_holds(name):
    with get_sage_queue(name) as queue:
        queue.put_many(["one", "two"])
        lease, batch, claim = queue.lease(), queue.lease_many(2), queue.claim(1)
        pid = os.fork()
        if pid == 0:
            try:
                lease.ack()
                batch.ack()
                claim.commit()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert queue.stats()["leased"] == 2
        claim.view[:] = b"x"
        claim.commit()
        batch.release()
        assert [queue.get(timeout=0), queue.get(timeout=0)] == ["two", b"x"]
        lease.ack()


def lease_and_leave(jobs, emptied):
    global held
    queue = resolve_descriptor(jobs)
    held = [queue, queue.lease(timeout=30), resolve_descriptor(emptied)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_that_ends_is_no_crash(name, method):
    """With what it did not close: its lease goes back as of one that lives, and an empty queue leaves nothing behind."""
    emptied = QueueDescriptor.create_sage_queue(f"{name}-e")
    with get_sage_queue(name) as queue:
        queue.put("item")
        child = multiprocessing.get_context(method).Process(target=lease_and_leave, args=(queue.descriptor, emptied))
        child.start()
        child.join(60)
        with queue.lease(timeout=30) as lease:
            assert (lease.item, lease.deliveries, lease.crashes) == ("item", 2, 0)
            lease.ack()
    with pytest.raises(QueueNotFoundError):
        resolve_descriptor(emptied, create="never")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns from 3.12 on")
def test_a_fork_does_not_warn_of_threads(name):
    code = """
    import os, sys, warnings
    warnings.simplefilter("error")
    from sage_queue import get_sage_queue
    queue = get_sage_queue(sys.argv[1])
    for _ in range(3):
        try: queue.get(timeout=0.02)
        except Exception: pass
        if os.fork() == 0: os._exit(0)
        os.wait()
    """
    assert run(code, name).wait(30) == 0


def test_a_child_inherits_the_role_of_a_producer(name):
    reader = get_sage_queue(name)
    producer = resolve_descriptor(reader.descriptor, producer=True)
    pid = os.fork()
    if pid == 0:
        producer.put("of the child")
        producer.close()
        os._exit(0)
    os.waitpid(pid, 0)
    producer.put("of the parent")
    producer.close()
    assert list(reader) == ["of the child", "of the parent"]


def test_a_producer_that_was_killed_is_told(name):
    code = """
    import os, sys
    from sage_queue import QueueDescriptor, resolve_descriptor
    queue = resolve_descriptor("sage:" + sys.argv[1], producer=True)
    queue.put("half")
    os.kill(os.getpid(), 9)
    """
    reader = get_sage_queue(name)
    assert run(code, name).wait(30) == -9
    assert reader.get(timeout=20) == "half"
    with pytest.raises(QueueProducerLostError) as lost:
        reader.get(timeout=20)
    assert lost.value.code == "ERR_QUEUE_PRODUCER_LOST"


@pytest.mark.parametrize(
    "end",
    [
        "raise RuntimeError('half way')",
        "sys.exit(1)",
        "pass",
        "os._exit(0)",
        "del queue; gc.collect(); sys.stdin.read()",
        "keep = queue.__dict__; keep['itself'] = queue; del queue, keep; gc.collect(); sys.stdin.read()",
    ],
)
def test_a_producer_that_ends_without_close_is_lost(name, end):
    code = f"""
    import gc, os, sys
    from sage_queue import QueueDescriptor, resolve_descriptor
    queue = resolve_descriptor("sage:" + sys.argv[1], producer=True)
    queue.put("half")
    {end}
    """
    reader = get_sage_queue(name)
    program = run(code, name, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert reader.get(timeout=20) == "half"
    with pytest.raises(QueueProducerLostError):
        reader.get(timeout=20)
    program.communicate(timeout=30)
    with pytest.raises(QueueProducerLostError):
        reader.get(timeout=20)


def test_a_block_closes_its_producer_whatever_ends_it(name):
    reader = get_sage_queue(name)
    with pytest.raises(RuntimeError), resolve_descriptor(reader.descriptor, producer=True) as producer:
        producer.put("half")
        raise RuntimeError
    assert reader.get(timeout=20) == "half"
    with pytest.raises(QueueShutDownError):
        reader.get(timeout=20)


BLOCKED = """
import sys
from sage_queue import get_sage_queue
queue = get_sage_queue(sys.argv[1], maxsize=4)
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "call",
    ["queue.get()", "queue.lease()", "queue.get_many(5)", "queue.put(0) or queue.put_many(range(9))", "queue.put(0) or queue.join()"],
)
def test_control_c_in_a_blocked_call(name, call):
    queue = get_sage_queue(name, maxsize=4)
    program = run(BLOCKED.format(call=call), name, stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    before = queue.stats()
    wait_until(lambda: (s := queue.stats())["waiting_getters"] + s["waiting_putters"] > 0 or "join" in call)
    if "join" in call:
        wait_until(lambda: queue.qsize() == 1)
        time.sleep(0.1)
    start = time.monotonic()
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "interrupted\n"
    took = time.monotonic() - start
    assert program.wait(20) == 0
    assert took < 2, "the promise is 200 ms, on a machine that has a processor to spare"
    assert before["leased"] == 0 and queue.stats()["leased"] == 0
    queue.put_many(["x"]) if not queue.full() else None
    queue.unlink()


def test_signals_lose_no_item(name):
    """A handler that raises, at any moment of a lease, while items come."""
    code = """
    import signal, sys
    from sage_queue import QueueShutDownError, get_sage_queue
    queue, out = get_sage_queue(sys.argv[1]), get_sage_queue(sys.argv[1] + "-out")
    class Stop(Exception): pass
    armed = False
    def stop(*_):
        global armed
        if armed:
            armed = False
            raise Stop
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    while True:
        try:
            armed = True
            lease = queue.lease()
            armed = False
        except Stop:
            continue
        except QueueShutDownError:
            break
        out.put(lease.item)
        lease.ack()
    signal.setitimer(signal.ITIMER_REAL, 0)
    """
    with get_sage_queue(name) as queue, get_sage_queue(f"{name}-out") as out:
        program = run(code, name)
        for number in range(300):
            queue.put(number)
            time.sleep(0.001)
        got = sorted(out.get(timeout=30) for _ in range(300))
        queue.shutdown()
        assert program.wait(30) == 0
        assert got == list(range(300)) and out.empty()


def test_an_interpreter_ends_with_waiters(name):
    code = """
    import sys, threading
    from sage_queue import get_sage_queue
    queue = get_sage_queue(sys.argv[1])
    for _ in range(3):
        threading.Thread(target=queue.get, daemon=True).start()
    while queue.stats()["waiting_getters"] == 0: pass
    """
    program = run(code, name, stderr=subprocess.PIPE, text=True)
    _, errors = program.communicate(timeout=30)
    assert program.returncode == 0, errors
    assert f"sage-queue+sage+u{os.getuid()}++{name}" not in os.listdir("/dev/shm")


def test_a_lease_of_one_who_was_killed_comes_again(name):
    code = """
    import sys, time
    from sage_queue import get_sage_queue
    lease = get_sage_queue(sys.argv[1]).lease()
    print(lease.deliveries, flush=True)
    time.sleep(60)
    """
    queue = get_sage_queue(name)
    queue.put("once")
    program = run(code, name, stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "1\n"
    program.kill()
    program.wait()
    lease = queue.lease(timeout=20)
    assert (lease.item, lease.deliveries, lease.crashes) == ("once", 2, 1)
    lease.ack()


def test_a_lease_keeps_its_handle(name):
    with get_sage_queue(name) as watcher:
        watcher.put_many(["a", "b"])
        lease, leased = get_sage_queue(name).lease(), get_sage_queue(name).lease_bytes()
        gc.collect()
        assert watcher.stats()["leased"] == 2 and watcher.qsize() == 0
        lease.ack()
        leased.ack()
        del lease, leased
        gc.collect()
        assert len(watcher.stats()["attached"]) == 1


def test_damaged_segments_are_exceptions(name):
    from sage_queue import SegmentError, attach_to_shm_queue

    path = f"/dev/shm/sage-queue+shm+{name}"
    try:
        for content, code in ((b"", "CORRUPT"), (b"x" * 10000, "CORRUPT"), (bytes(1 << 20), "CORRUPT")):
            with open(path, "wb") as file:
                file.write(content)
            with pytest.raises(SegmentError) as damaged:
                attach_to_shm_queue(None, name)
            assert damaged.value.code == f"ERR_SEGMENT_{code}" and isinstance(damaged.value, OSError)
        os.unlink(path)
        with attach_to_shm_queue(None, name) as queue:
            queue.put("x")
            whole = open(path, "rb").read(4096)
            queue.unlink()
        for at in range(8, 264, 8):
            with open(path, "wb") as file:
                file.write(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] + bytes(1 << 20))
            with pytest.raises(SegmentError):
                attach_to_shm_queue(None, name)
    finally:
        os.unlink(path)


def test_subinterpreters_work(name):
    interpreters = pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    code = f"""
from sage_queue import get_sage_queue
with get_sage_queue({name!r}) as queue:
    queue.put(1)
    assert queue.get() == 1
"""
    interpreter = interpreters.create()
    failure = interpreters.run_string(interpreter, f"import sys; sys.path[:] = {sys.path!r}\n{code}")
    interpreters.destroy(interpreter)
    assert failure is None
