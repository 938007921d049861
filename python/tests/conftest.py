"""What the tests share: names of queues that nobody else has, and nothing left behind in shared memory."""

import itertools
import os
from pathlib import Path

import pytest

import sage_queue

_numbers = itertools.count()
ROOT = Path(__file__).parent.parent.parent


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
    left = {one for one in _left() - before if f"py-{os.getpid()}-" in one or "bell" in one}
    assert not left


@pytest.fixture(params=["local", "shm", "sage_queue"])
def open_queue(request, name):
    """Opens handles on one queue, of each type in turn."""

    def make(**options):
        if request.param == "local":
            return sage_queue.get_local_queue(name, **options)
        if request.param == "shm":
            return sage_queue.attach_to_shm_queue(None, name, **options)
        return sage_queue.get_sage_queue(name, **options)

    opened = []

    def tracked(**options):
        opened.append(make(**options))
        return opened[-1]

    yield tracked
    for queue in opened:
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
