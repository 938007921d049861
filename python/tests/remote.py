"""What the tests of remote queues share: connections that lose what passes and can be cut, and calls in threads."""

import contextlib
import socket
import threading
import time

from sage_queue import get_sage_queue


class Passage:
    """One connection through the proxy."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.lost = set()  # of "requests" and "answers"

    def begin(self):
        for source, sink, what in ((self.near, self.far, "requests"), (self.far, self.near, "answers")):
            threading.Thread(target=self._pump, args=(source, sink, what), daemon=True).start()

    def _pump(self, source, sink, what):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if what not in self.lost:
                    sink.sendall(data)
        self.cut()

    def cut(self):
        for one in (self.near, self.far):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Connections that lose what passes in one direction, and can be cut."""

    def __init__(self, port):
        self._target = port
        self._passages = []
        #: Whether nobody gets through from here on.
        self.refuses = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            self._passages.append(Passage(near, socket.create_connection(("127.0.0.1", self._target))))
            self._passages[-1].begin()

    def serve(self, port):
        """Who is connected from here on comes there."""
        self._target = port

    def lose(self, what):
        """From here on, on the connections that there are; one that is made later loses nothing."""
        for one in self._passages:
            one.lost.add(what)

    def cut(self):
        passages, self._passages = self._passages, []
        for one in passages:
            one.cut()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # what wakes accept()
        self._thread.join()
        self._listener.close()
        self.cut()


class Call:
    """In a thread of its own."""

    def __init__(self, call):
        self._found = []
        self._thread = threading.Thread(target=lambda: self._found.append(call()), daemon=True)
        self._thread.start()

    @property
    def waits(self):
        return self._thread.is_alive()

    def result(self):
        self._thread.join(60)
        assert self._found, "it does not return"
        return self._found[0]


@contextlib.contextmanager
def owned(name, **options):
    """Its name goes at the end, since a server that was asked for it keeps it."""
    with get_sage_queue(name, **options) as queue:
        yield queue
        queue.unlink()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.002)


def drained(queue):
    return queue.empty() and queue.stats()["leased"] == 0
