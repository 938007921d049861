"""Why Ctrl-C is never late by the package's doing: a thread in a call sleeps 100 ms at most before it looks whether a signal came. Not what
the clock says, which a busy machine moves, but what the system is asked for: every sleep of the main thread, and how many it begins after
the handler of the signal has run."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

from sage_queue import get_sage_queue
from test_interrupt import CALLS, PROGRAM, WITHOUT_SERVER, linux, of_another_thread, of_the_process

STRACE = shutil.which("strace")
pytestmark = [linux, pytest.mark.skipif(STRACE is None and not os.environ.get("CI"), reason="strace is needed")]

SLEEPS = "futex,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,nanosleep,clock_nanosleep"
#: Seconds. A tenth more than a slice, since two clocks are compared.
LONGEST = 0.11
#: Who wants the interpreter's lock sleeps 5 ms at a time. These are not the call's.
SHORT = 0.02

IS_SLEEP = re.compile(r"(?!futex)\w+\(.*\) +=|futex\(\w+, FUTEX_WAIT")
TIME = re.compile(r"\{tv_sec=(\d+), tv_n?u?sec=(\d+)\}")


def clocks_apart():
    """How much later the time of day is than the monotonic clock, which nothing may come between."""
    found = []
    for _ in range(100):
        before, day, after = time.monotonic(), time.time(), time.monotonic()
        found.append((after - before, day - (before + after) / 2))
    return min(found)[1]


def asked_for(call, at, apart):
    """The seconds that a sleep was to last, None for ever, as strace wrote it."""
    name = call[: call.index("(")]
    given = TIME.findall(call)
    if name in ("poll", "epoll_wait", "epoll_pwait"):
        milliseconds = re.search(r", (-?\d+)(?:, NULL, \d+)?\) +=", call)
        return None if milliseconds is None or milliseconds[1].startswith("-") else int(milliseconds[1]) / 1000
    if not given:
        return None
    seconds = int(given[0][0]) + int(given[0][1]) / (1e6 if "tv_usec" in call else 1e9)
    if "FUTEX_WAIT_BITSET" in call or "TIMER_ABSTIME" in call:  # a moment, of one clock or the other
        return seconds - at + (0 if "CLOCK_REALTIME" in call else apart)
    return seconds


def sleeps_of(folder, pid, apart):
    """For each call that was interrupted: the sleeps of the main thread, from the one in which it was seen to wait until it was told, as (when,
    seconds, whether it lasted that long); and when the signal's handler had run."""
    lines = []
    for file in folder.iterdir():
        thread = int(file.suffix[1:])
        for line in file.read_text().splitlines():
            at, _, call = line.partition(" ")
            lines.append((float(at), thread == pid, call))
    calls, sleeps, handled, waits = [], [], [], False
    for at, main, call in sorted(lines):
        if call.startswith('write(1, "waits'):
            sleeps, waits = sleeps[-1:], True
        elif waits and call.startswith("rt_sigreturn"):
            handled.append(at)
        elif waits and main and re.match(r'write\(1, "\d', call):
            calls.append((sleeps, handled))
            sleeps, handled, waits = [], [], False
        elif main and IS_SLEEP.match(call):
            over = "ETIMEDOUT" in call or "Timeout" in call or call.endswith("= 0") and "sleep" in call
            sleeps.append((at, asked_for(call, at, apart), over))
    return calls


def expect_short_sleeps(tmp_path, program, arguments, signalled, count):
    trace = tmp_path / "trace"
    trace.mkdir()
    apart = clocks_apart()
    strace = [STRACE, "-D", "-ff", "-ttt", "-o", trace / "of", "-e", f"trace=write,rt_sigreturn,{SLEEPS}", "-e", "signal=SIGINT"]
    with subprocess.Popen([*strace, sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True) as child:
        hangs = threading.Timer(120, child.kill)
        hangs.start()
        try:
            for _ in range(count):
                assert child.stdout.readline() == "waits\n"
                signalled(child.pid)
                float(child.stdout.readline())
            child.stdout.read()
            assert child.wait() == 0
        finally:
            hangs.cancel()
            child.kill()
    calls = sleeps_of(trace, child.pid, apart)
    assert len(calls) == count
    for sleeps, handled in calls:
        assert len(handled) == 1
        assert all(seconds is None or seconds <= LONGEST for _, seconds, _ in sleeps), sleeps
        of_the_call = [one for one in sleeps if one[1] is not None and one[1] > SHORT]
        assert of_the_call, sleeps  # what it sleeps by is among the calls that are looked at
        # One may be begun after the handler: it had looked before that.
        assert len([one for one in of_the_call if one[0] > handled[0] and one[2]]) <= 1, (handled, sleeps)


@pytest.mark.parametrize("kind", ["local", "shm", "sage_queue", "rpc", "custom"])
@pytest.mark.parametrize("signalled", [of_the_process, of_another_thread])
def test_a_call_that_waits(kind, signalled, name, request, tmp_path):
    owner = get_sage_queue(name, maxsize=1) if kind == "rpc" else None
    port = request.getfixturevalue("server").port if kind == "rpc" else 0
    try:
        expect_short_sleeps(tmp_path, PROGRAM, [kind, name, str(port)], signalled, CALLS)
    finally:
        if owner is not None:
            owner.unlink()
            owner.close()


@pytest.mark.parametrize("call", ["get", "put"])
def test_a_call_while_the_server_is_away(call, tmp_path):
    pytest.importorskip("grpc")
    expect_short_sleeps(tmp_path, WITHOUT_SERVER, [call], lambda pid: of_another_thread(pid, stays=True), 1)
