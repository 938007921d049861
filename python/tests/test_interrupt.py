"""Ctrl-C in a call that waits: KeyboardInterrupt within 200 ms, and nothing is lost to it."""

import contextlib
import ctypes
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sage_queue import get_sage_queue

#: Says when a call waits, and when it was interrupted; then looks that the queue is as it was, and goes on.
PROGRAM = """
import queue as standard, sys, threading, time
import sage_queue as sq

kind, name, port = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Custom:
    def __init__(self, descriptor):
        inner = standard.Queue(1)
        self.put, self.get, self.empty, self.qsize = inner.put, inner.get, inner.empty, inner.qsize

sq.register_queue_implementation("custom", Custom)
if kind == "local":
    queue = sq.get_local_queue(name, maxsize=1)
elif kind == "shm":
    queue = sq.attach_to_shm_queue(None, name, maxsize=1)
elif kind == "sage_queue":
    queue = sq.get_sage_queue(name, maxsize=1)
elif kind == "rpc":
    queue = sq.resolve_descriptor(sq.QueueDescriptor.create_rpc_queue("127.0.0.1", port, name))
else:
    queue = sq.resolve_descriptor(sq.QueueDescriptor(name, "custom"))

def waits():
    if kind == "custom":
        return len(queue._gets._line) + len(queue._puts._line)
    stats = queue.stats()
    return stats["waiting_getters"] + stats["waiting_putters"]

def tell(done):
    while not waits():
        time.sleep(0.002)
    print("waits", flush=True)
    done.wait()

def interrupted(call):
    done = threading.Event()
    thread = threading.Thread(target=tell, args=(done,))
    thread.start()
    try:
        try:
            call()
        except KeyboardInterrupt:
            print(time.monotonic(), flush=True)
        else:
            raise SystemExit("it was not interrupted")
    finally:
        done.set()
        thread.join()

for call in (queue.get, lambda: queue.get_many(5), lambda: queue.get(timeout=1000), queue.lease, lambda: queue.lease_many(2)):
    interrupted(call)
    queue.put("not lost")
    with queue.lease(timeout=20) as lease:
        assert (lease.item, lease.deliveries) == ("not lost", 1), (lease.item, lease.deliveries)
        lease.ack()
for call in (lambda: queue.put("given up"), lambda: queue.put("given up", timeout=1000), lambda: queue.put_many(["given up"] * 3)):
    queue.put("there")
    interrupted(call)
    assert queue.get_many(10, timeout=20) == ["there"]
    queue.put("next", timeout=20)
    assert queue.get(timeout=20) == "next"
queue.close()
print("end", flush=True)
"""
CALLS = 8

#: The same while the call waits for a server, not for the queue.
WITHOUT_SERVER = """
import sys, threading, time, sage_queue as sq
queue = sq.resolve_descriptor(sq.QueueDescriptor.create_rpc_queue("127.0.0.1", 1, "q"))
def tell():
    while queue._client.connection.last_failure is None: time.sleep(0.002)
    print("waits", flush=True)
    threading.Event().wait()  # a signal that is sent to a thread that ends goes with it
threading.Thread(target=tell, daemon=True).start()
try: queue.get() if sys.argv[1] == "get" else queue.put(1)
except KeyboardInterrupt: print(time.monotonic(), flush=True)
"""


#: tgkill, which no library of Python's has.
TGKILL = {"x86_64": 234, "aarch64": 131}.get(platform.machine())


def of_the_process(pid):
    """@return when the signal was sent, as of_another_thread()"""
    start = time.monotonic()
    os.kill(pid, signal.SIGINT)
    return start


def of_another_thread(pid, stays=False):
    """To a thread that runs no Python where there is one (gRPC's), else to one that is not the main thread: it wakes nobody who sleeps.
    stays: to one of Python's. While gRPC seeks a server its threads come and go, and a signal goes with the thread it was sent to."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    end = time.monotonic() + 20
    while True:
        for is_of_python, thread in sorted(others_open_to_it(pid)):
            if stays and not is_of_python:
                continue
            start = time.monotonic()
            if call(TGKILL, pid, thread, signal.SIGINT) == 0:
                return start
        assert time.monotonic() < end, "there is none"
        time.sleep(0.001)


def others_open_to_it(pid):
    """Threads beside the main one that sleep and do not block the signal, and before each whether it runs Python. One that is awake may be on
    its way to its end, and the signal would go with it."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            status = dict(re.findall(r"(\w+):\s*(\w+)", (task / "status").read_text()))
            if int(task.name) != pid and status["State"] == "S" and not int(status["SigBlk"], 16) >> signal.SIGINT - 1 & 1:
                yield (task / "comm").read_text().startswith("python"), int(task.name)


linux = pytest.mark.skipif(TGKILL is None or sys.platform != "linux", reason="no way to signal one thread")


@pytest.mark.parametrize("kind", ["local", "shm", "sage_queue", "rpc", "custom"])
@pytest.mark.parametrize("signalled", [of_the_process, pytest.param(of_another_thread, marks=linux)])
def test_ctrl_c_in_a_call_that_waits(kind, signalled, name, request):
    owner = get_sage_queue(name, maxsize=1) if kind == "rpc" else None
    port = request.getfixturevalue("server").port if kind == "rpc" else 0
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, kind, name, str(port)], stdout=subprocess.PIPE, text=True)
    hangs = threading.Timer(120, child.kill)
    hangs.start()
    try:
        took = []
        for _ in range(CALLS):
            assert child.stdout.readline() == "waits\n"
            start = signalled(child.pid)
            took.append(float(child.stdout.readline()) - start)
        assert child.stdout.readline() == "end\n" and child.wait(20) == 0
        # One in each direction may have met a busy machine.
        assert sorted(took)[-3] < 0.2, took
    finally:
        hangs.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
        if owner is not None:
            owner.unlink()
            owner.close()


@pytest.mark.parametrize("call", ["get", "put"])
def test_ctrl_c_while_the_server_is_away(call):
    pytest.importorskip("grpc")
    took = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", WITHOUT_SERVER, call], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "waits\n"
            start = of_the_process(child.pid)
            took.append(float(child.stdout.readline()) - start)
            assert child.wait(20) == 0
    assert min(took) < 0.2, took
