"""Workers in C++, Python and Node on one queue, killed one after the other, and the history that they leave.

A worker writes a line before and after each step that can be lost with it, so that what it did is known however it ended:

    put STREAM FROM TO               it is about to put them
    ack STREAM FROM TO               the put returned
    hold STREAM NUMBER DELIVERIES …  it has these in its hands (deliveries 0: not counted), and has not yet acknowledged them
    done                             the acknowledgement of those returned
"""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path

from conftest import ROOT

from .items import whole
from .languages import CPP, NODE

HERE = Path(__file__).parent
#: How often each language is taken. A process of Node costs as much as twenty of the others.
SHARES = {"cpp": 10, "python": 8, "node": 2}
#: Within this, on however busy a machine, each worker must get on.
HUNG_SECONDS = 60


class Life:
    """One worker: a process, what it is called in the history, and its log."""

    def __init__(self, role, language, name, log, pid):
        self.role, self.language, self.name, self.log, self.pid = role, language, name, log, pid
        self.fd = os.pidfd_open(pid)
        self.seen = 0

    def kill(self):
        """@return whether it lived until then"""
        lived = not select.select([self.fd], [], [], 0)[0]
        with contextlib.suppress(ProcessLookupError):  # nobody needs to ask after a grandchild
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)
        return lived

    def wait(self):
        select.select([self.fd], [], [])
        os.close(self.fd)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # a grandchild: not ours to reap
            pass

    def has_moved(self):
        size = self.log.stat().st_size
        moved, self.seen = size > self.seen, size
        return moved


class Campaign:
    def __init__(self, queue, name, folder, seed, idle_nodes=2):
        self.queue, self.name, self.folder = queue, name, folder
        self.chance = random.Random(seed)
        self.lives = []
        self.living = []
        self.killed = Counter()
        self.forks = subprocess.Popen(
            [sys.executable, HERE / "worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.idle = deque(self._node() for _ in range(idle_nodes))

    def _node(self):
        return subprocess.Popen([NODE, HERE / "worker.cjs"], stdin=subprocess.PIPE, text=True)

    def _start(self, language, order):
        if language == "cpp":
            return os.posix_spawn(CPP, [str(CPP), *order], os.environ)
        if language == "python":
            self.forks.stdin.write(" ".join(order) + "\n")
            self.forks.stdin.flush()
            return int(self.forks.stdout.readline())
        process = self.idle.popleft()
        self.idle.append(self._node())  # ready by the time that it is wanted
        process.stdin.write(" ".join(order) + "\n")
        process.stdin.close()
        process.returncode = -signal.SIGKILL  # whoever waits for it does so by its pid
        return process.pid

    def launch(self, role, language=None):
        language = language or self.chance.choices(list(SHARES), list(SHARES.values()))[0]
        name = f"{role[0]}{len(self.lives)}"
        log = self.folder / name
        log.touch()
        life = Life(role, language, name, log, self._start(language, [role, self.name, name, str(log)]))
        self.lives.append(life)
        self.living.append(life)

    def kill_one(self):
        life = self.living.pop(self.chance.randrange(len(self.living)))
        lived = life.kill()
        if lived:
            self.killed[life.language] += 1
            self.launch(life.role)
        life.wait()
        assert lived, f"{life.language} {life.role} {life.name} ended by itself"

    def all_move(self):
        """Each of the living gets on. @raise AssertionError when one hangs"""
        waiting = list(self.living)
        end = time.monotonic() + HUNG_SECONDS
        while waiting:
            waiting = [life for life in waiting if not life.has_moved()]
            assert time.monotonic() < end, f"hung: {[(life.language, life.role, life.name) for life in waiting]}"
            time.sleep(0.001)

    def run(self, kills, workers=6):
        for number in range(workers):
            self.launch("put" if number % 2 else "get")
        self.all_move()
        for number in range(kills):
            time.sleep(self.chance.random() * 0.006)
            self.kill_one()
            if number % 25 == 24:
                self.all_move()
        self.all_move()

    def end(self):
        """No process is left. @raise AssertionError when one had ended before: it may have had a torn item"""
        ended = [life for life in self.living if not life.kill()]
        for life in self.living:
            life.wait()
        self.living = []
        self.forks.stdin.close()
        self.forks.wait()
        self.forks.stdout.close()
        for process in self.idle:
            process.stdin.close()
            process.wait()
        assert not ended, f"ended by themselves: {[(life.language, life.role, life.name) for life in ended]}"


def check_history(lives, left, file):
    """What test/history/check-history.cjs says of the logs of those, and of what was left in the queue: a process that has ended.
    @raise ValueError when something of that is torn"""
    with file.open("w") as history:
        for life in lives:
            lines = life.log.read_text().split("\n")[:-1]  # the last one was not written whole
            history.writelines(f"{line}\n" for line in (lines if life.role == "put" else received(life.name, lines)))
        for item in left:
            stream, number = whole(item)
            history.write(f"left {stream} {number} {number + 1}\n")
    return subprocess.run([NODE, ROOT / "test/history/check-history.cjs", file], text=True, capture_output=True)


def received(receiver, lines):
    held = []
    for line in lines:
        if line == "done":
            for stream, number, deliveries in held:
                word, who = ("again" if int(deliveries) > 1 else "got"), ("-" if deliveries == "0" else receiver)
                yield f"{word} {who} {stream} {number} {int(number) + 1}"
            held = []
        else:
            words = line.split(" ")[1:]
            held = list(zip(words[::3], words[1::3], words[2::3], strict=True))
    for stream, number, _ in held:  # killed before it could say whether they were acknowledged
        yield f"hand {stream} {number} {int(number) + 1}"
