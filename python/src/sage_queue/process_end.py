"""What is done at the end of a process: of an interpreter, and of a child of multiprocessing, which leaves past atexit."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable

_ends: list[Callable[[], None]] = []
_attended = 0

#: After what multiprocessing and others do there.
_LAST = -1000


def at_process_end(end: Callable[[], None]) -> Callable[[], None]:
    """It may be called twice."""
    atexit.register(end)
    _ends.append(end)
    return end


def attend_process_end() -> None:
    """To be called with every handle that is made. A child forgets what its parent had registered, and is none where multiprocessing was
    not imported."""
    global _attended
    process = sys.modules.get("multiprocessing.process")
    if _attended == os.getpid() or process is None or process.parent_process() is None:
        return
    _attended = os.getpid()
    from multiprocessing.util import Finalize

    Finalize(None, _begin_to_end, exitpriority=_LAST)


def _begin_to_end() -> None:
    """Threads may still use their queues: they are waited for, and this one with them."""
    threading.Thread(target=_end_child, name="sage-queue end").start()


def _end_child() -> None:
    threading.main_thread().join()
    for thread in threading.enumerate():
        if not thread.daemon and thread not in (threading.current_thread(), threading.main_thread()):
            thread.join()
    for end in _ends:
        end()
