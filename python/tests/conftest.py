"""What the tests share: names of queues that nobody else has, and nothing left behind in shared memory."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import sage_queue
from remote import Proxy, owned

_numbers = itertools.count()
ROOT = Path(__file__).parent.parent.parent


def chosen_seed() -> int:
    """SEED, or another for each run; printed, so that what fails can be repeated."""
    seed = int(os.environ.get("SEED", random.randrange(2**31)))
    print(f"SEED={seed}")
    return seed


# A shell that starts the tests in the background has them ignore it, and whatever they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_servers: list[int] = []


def _bells_of_servers() -> set[str]:
    """What they wait by lies there for as long as they like."""
    found = set()
    for file in (file for pid in _servers for file in Path(f"/proc/{pid}/fd").glob("*")):
        try:
            found.add(os.path.basename(os.readlink(file)))
        except OSError:  # closed meanwhile
            continue
    return found


def _left() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith("sage-queue")}


@pytest.fixture
def name():
    return f"py-{os.getpid()}-{next(_numbers)}"


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = _left()
    yield
    sage_queue.close_all()

    def left():
        return {one for one in _left() - before - _bells_of_servers() if f"py-{os.getpid()}-" in one or "bell" in one}

    # A server may be on its way: it closes what it waits by before it takes the name away.
    end = time.monotonic() + 10
    while left() and time.monotonic() < end:
        time.sleep(0.01)
    assert not left()


@pytest.fixture(autouse=True)
def server_may_be_late(monkeypatch):
    """On a machine that has no processor to spare: how soon a silent one is given up is for the tests of that to say."""
    for late in ("pending.GRACE", "pending.ANSWER_WITHIN", "settles.ANSWER_WITHIN", "puts._CANCEL_WITHIN"):
        monkeypatch.setattr(f"sage_queue.rpc.{late}", 30.0)


if "PYTHON_RAY_ADDRESS" not in os.environ:  # scripts/test/test-python-ray.sh
    collect_ignore = ["test_ray.py", "test_ray_tasks.py"]

NODE = shutil.which("node")
CLI = ROOT / "dist/cli/main.js"
needs_node = pytest.mark.skipif(
    (NODE is None or not CLI.exists()) and not os.environ.get("CI"), reason="node, and npm run build, are needed"
)


class Server:
    """`sage-queue serve`, in Node. Any id that a client asks for is the sage_queue of that name, unless `queues` are given."""

    def __init__(self, *arguments, port=0):
        command = [NODE, str(CLI), "serve", "--port", str(port), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("rpc"), "the server did not start"
        self.port = int(self.url.rstrip("/").rpartition(":")[2]) if port is not None and "://" in self.url else None

    def queue(self, name, **options):
        metadata = {"server_address": "127.0.0.1", "port": self.port, **options}
        return sage_queue.QueueDescriptor(name, "rpc", metadata)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def server():
    if NODE is None or not CLI.exists():
        pytest.skip("node, and npm run build, are needed")
    one = Server()
    with sage_queue.resolve_descriptor(one.queue(f"first-{os.getpid()}")) as queue:
        while True:
            try:
                queue.get(timeout=0.3)
            except sage_queue.QueueEmptyError:
                break
            except sage_queue.QueueConnectionError:  # it takes its time to start
                continue
    _servers.append(one.process.pid)
    yield one
    one.stop()


@pytest.fixture
def proxy(server):
    one = Proxy(server.port)
    yield one
    one.close()


@pytest.fixture
def through(proxy, name):
    """The owner's handle, and one that goes through the proxy."""
    with owned(name) as owner:
        with sage_queue.resolve_descriptor(sage_queue.QueueDescriptor.create_rpc_queue("127.0.0.1", proxy.port, name)) as remote:
            yield owner, remote


#: What a remote handle cannot do, or says with its first call.
_NOT_REMOTE = ("test_the_last_producer_ends_the_queue", "test_another_configuration_is_refused")


@pytest.fixture(params=["local", "shm", "sage_queue", "rpc"])
def open_queue(request, name):
    """Opens handles on one queue, of each type in turn; one of `rpc` is served by Node."""
    opened = []

    def make(**options):
        if request.param == "local":
            return sage_queue.get_local_queue(name, **options)
        if request.param == "shm":
            return sage_queue.attach_to_shm_queue(None, name, **options)
        if request.param == "sage_queue":
            return sage_queue.get_sage_queue(name, **options)
        if not opened:  # the owner's
            opened.append(sage_queue.get_sage_queue(name, **options))
        port = request.getfixturevalue("server").port
        remote = sage_queue.resolve_descriptor(
            sage_queue.QueueDescriptor.create_rpc_queue("127.0.0.1", port, name, **options)
        )
        # The server has it open from here on. One that comes to that only when the owner has gone would make a queue of its own.
        remote.qsize()
        return remote

    if request.param == "rpc" and request.function.__name__ in _NOT_REMOTE:
        pytest.skip("not behind a server")

    def tracked(**options):
        opened.append(make(**options))
        return opened[-1]

    yield tracked
    for queue in reversed(opened):
        if hasattr(queue, "unlink") and not queue._closed:  # items that a test leaves keep a segment
            queue.unlink()
        queue.close()


def pytest_terminal_summary(terminalreporter):
    """One line for all suites is said at the end of .ci/run."""
    if os.environ.get("CI") is None:
        return
    count = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped")}
    folder = ROOT / "out"
    folder.mkdir(exist_ok=True)
    with open(folder / "test-counts", "a") as counts:
        counts.write(f"{count['passed']} {count['failed'] + count['error']} {count['skipped']}\n")
