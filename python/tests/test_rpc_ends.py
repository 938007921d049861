"""What a handle of a remote queue does when it ends: collected, closed, interrupted, or with its process. What a get returned never comes again."""

import signal
import subprocess
import sys
import threading

import pytest
from conftest import needs_node
from remote import Call, drained, owned, until
from sage_queue import QueueDescriptor, resolve_descriptor

pytest.importorskip("grpc")
pytestmark = needs_node


def test_what_a_collected_handle_got_does_not_come_again(server, name):
    def one():
        return resolve_descriptor(server.queue(name)).get(timeout=20)

    with owned(name) as owner:
        owner.put_many(range(12))
        assert [one() for _ in range(12)] == list(range(12))
        until(lambda: drained(owner))


@pytest.mark.parametrize("how", ["collected", "closed"])
def test_what_a_handle_got_is_told_over_another_connection_at_its_end(proxy, name, how):
    """The first one broke before the server heard of it."""
    with owned(name) as owner:
        remote = resolve_descriptor(QueueDescriptor.create_rpc_queue("127.0.0.1", proxy.port, name))
        get = Call(remote.get)
        until(lambda: owner.stats()["waiting_getters"] == 1)
        proxy.lose("requests")
        owner.put("item")
        assert get.result() == "item"
        assert owner.stats()["leased"] == 1
        proxy.cut()
        if how == "closed":
            until(lambda: not remote._client.connection.is_open)
            remote.close()
            assert drained(owner)
        del remote, get
        until(lambda: drained(owner))


CHILD = """
import multiprocessing, sys, threading, sage_queue

def get(url, in_thread):
    global queue, thread
    queue = sage_queue.resolve_descriptor(url)
    if not in_thread:
        return show()
    thread = threading.Thread(target=lambda: threading.main_thread().join() or show())
    thread.start()

def show():
    print(queue.get(timeout=20), flush=True)

if __name__ == "__main__":
    url, method, in_thread = sys.argv[1:]
    for _ in range(4):
        child = multiprocessing.get_context(method).Process(target=get, args=(url, in_thread == "True"))
        child.start()
        child.join(60)
        assert child.exitcode == 0
"""


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_what_a_child_of_multiprocessing_got_does_not_come_again(server, name, tmp_path, method, in_thread):
    """It ends past atexit, with a handle that nobody closed, and that a thread may use for longer than its main one."""
    program = tmp_path / "program.py"
    program.write_text(CHILD)
    with owned(name) as owner:
        owner.put_many(range(4))
        command = [sys.executable, str(program), server.url + name, method, str(in_thread)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (said.stdout.split(), said.stderr) == (["0", "1", "2", "3"], "")
        assert drained(owner)


def test_a_close_that_a_signal_ended_is_gone_on_with(through, proxy):
    owner, remote = through
    owner.put("item")
    lease = remote.lease(timeout=20)
    client = remote._client
    proxy.lose("answers")
    put = Call(lambda: pytest.raises(Exception, remote.put, "other"))
    until(lambda: owner.qsize() == 1)

    def interrupt():
        until(lambda: client.closing)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    Call(interrupt)
    with pytest.raises(KeyboardInterrupt):
        remote.close()
    remote.close()
    put.result()
    until(lambda: owner.qsize() == 2)
    assert lease.item == "item" and owner.get_many(2) == ["item", "other"]
    assert client.connection._stream is None
