"""Queues behind a server of Node: what goes wrong says so, and nothing is lost or doubled over a connection that breaks.

Past 400 lines: one server of Node for all of them, which takes long to start.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import sage_queue
from conftest import ROOT, Server, needs_node
from remote import Call, drained, owned, until
from sage_queue import (
    ConfigMismatchError,
    InvalidDescriptorError,
    ItemTooLargeError,
    QueueConnectionError,
    QueueDescriptor,
    QueueEmptyError,
    QueueExistsError,
    QueueFullError,
    QueueNotFoundError,
    SerializationError,
    get_sage_queue,
    resolve_descriptor,
)

grpc = pytest.importorskip("grpc")
pytestmark = needs_node


def test_the_messages_are_those_of_the_proto():
    pytest.importorskip("grpc_tools")
    script = [sys.executable, ROOT / "scripts/build/python-messages.py", "--print"]
    written = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert written == (ROOT / "python/src/sage_queue/rpc/messages.py").read_text(), "run scripts/build/python-messages.py"


def test_a_uri_names_it(server, name):
    with owned(name) as owner, resolve_descriptor(server.url + name) as remote:
        remote.put("by uri")
        assert owner.get(timeout=20) == "by uri"


def test_items_are_those_of_node(server, name):
    from sage_queue.codec import MSGPACK, decode

    vectors = json.loads((ROOT / "test/vectors/msgpack-items.json").read_text())["items"]
    with owned(name) as owner, resolve_descriptor(server.queue(name)) as remote:
        for vector in vectors:
            value = decode(bytes.fromhex(vector["hex"]), MSGPACK)
            remote.put(value)
            with owner.lease_bytes(timeout=20) as leased:
                assert leased.codec == MSGPACK, vector["name"]
            again = remote.get(timeout=20)
            assert type(again) is type(value) and again == value, vector["name"]
        remote.put(b"raw")
        assert owner.get(timeout=20) == b"raw"


def test_a_schema_goes_through(server, name):
    schema = {"id": "u32", "note?": "string"}
    with owned(name, schema=schema) as owner, resolve_descriptor(server.queue(name, schema=schema)) as remote:
        remote.put({"id": 7, "note": "é"})
        assert owner.get(timeout=20) == {"id": 7, "note": "é"}
        owner.put({"id": 8})
        assert remote.get(timeout=20) == {"id": 8}
        with pytest.raises(SerializationError):
            remote.put({"id": "no number"})


def test_the_server_tells_the_schema(server, name):
    """Who attaches without it reads the items, in a process that never saw it; what such a handle puts is not of the schema."""
    code = (
        "import sage_queue as sq\n"
        f"with sq.resolve_descriptor({server.url + name!r}) as queue: print(queue.get(timeout=20), queue.lease(timeout=20).item)"
    )
    with owned(name, schema={"id": "u32"}) as owner:
        owner.put_many([{"id": 8}, {"id": 9}])
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
        assert said == "{'id': 8} {'id': 9}\n"
        assert owner.get(timeout=20) == {"id": 9}


def test_an_item_of_a_schema_that_nobody_knows_stays(server, name):
    from sage_queue.codec import SCHEMA

    with owned(name) as owner, resolve_descriptor(server.queue(name)) as remote:
        owner.put(1)
        owner._handle.put(b"\x01\x02\x03\x04rest", SCHEMA, 0.0)
        assert remote.get_many(5, timeout=20) == [1]
        for call in (remote.get, lambda: remote.get_many(5), remote.lease, lambda: remote.lease_many(5)):
            with pytest.raises(SerializationError, match="still in the queue"):
                call()
        until(lambda: owner.stats()["leased"] == 0)
        assert owner.qsize() == 1


def test_large_batches_and_items(server, name):
    with owned(name, maxsize=0, capacity_bytes=64 << 20) as owner, resolve_descriptor(server.queue(name)) as remote:
        big = os.urandom(6 << 20)
        items = [b"x" * (number % 300) for number in range(20_000)] + [big]
        assert remote.put_many(items) == len(items)
        got = []
        while len(got) < len(items):
            got += remote.get_many(7000, timeout=20)
        assert got == items
        with pytest.raises(ItemTooLargeError):
            remote.put(b"x" * (33 << 20))
        assert owner.empty()


def test_many_threads_share_a_handle(server, name):
    with owned(name, maxsize=50) as _, resolve_descriptor(server.queue(name)) as remote:
        got = []

        def produce(stream):
            for number in range(100):
                remote.put((stream, number))

        def consume():
            while True:
                item = remote.get()
                if item == "end":
                    return
                got.append(tuple(item))

        producers = [threading.Thread(target=produce, args=(stream,)) for stream in range(4)]
        consumers = [threading.Thread(target=consume) for _ in range(4)]
        for thread in producers + consumers:
            thread.start()
        for thread in producers:
            thread.join(60)
        for _ in consumers:
            remote.put("end")
        for thread in consumers:
            thread.join(60)
        assert sorted(got) == [(stream, number) for stream in range(4) for number in range(100)]


def test_nobody_listens():
    with resolve_descriptor(QueueDescriptor.create_rpc_queue("127.0.0.1", 1, "q")) as queue:
        for call in (lambda: queue.get(block=False), lambda: queue.put(1, block=False), lambda: queue.get(timeout=0.2)):
            with pytest.raises(QueueConnectionError, match="nothing listens") as error:
                call()
            assert error.value.code == "ERR_QUEUE_CONNECTION" and error.value.outcome is None


def test_what_is_refused_comes_at_once(name, tmp_path):
    """An unknown queue, one that exists, another maxsize, a wrong token, a right that it lacks."""
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("all-of-it *\nonly-get jobs get\n")
    with owned(name, maxsize=10) as owner:
        server = Server("--queue", f"jobs=sage:{name}", "--tokens", str(tokens))
        try:

            def handle(queue_id="jobs", token="all-of-it", create="if-missing", **options):
                descriptor = server.queue(queue_id, **options)
                return resolve_descriptor(descriptor, create=create, credentials={"token": token})

            def refused(kind, match, call, **how):
                with handle(**how) as queue, pytest.raises(kind, match=match):
                    call(queue)

            refused(QueueNotFoundError, "nowhere", lambda queue: queue.get(), queue_id="nowhere")
            refused(QueueExistsError, "jobs", lambda queue: queue.get(), create="exclusive")
            refused(ConfigMismatchError, "10", lambda queue: queue.get(), maxsize=11)
            refused(QueueConnectionError, "refused the credentials", lambda queue: queue.put(1), token="wrong")
            refused(QueueConnectionError, "put", lambda queue: queue.put(1), token="only-get")
            with handle() as queue:
                queue.put("with the token", timeout=20)
            with handle(token="only-get") as queue:
                assert queue.get(timeout=20) == "with the token"
            with pytest.raises(QueueConnectionError) as error:
                handle(token="secret\n")
            assert "secret" not in str(error.value)
        finally:
            server.stop()
        assert owner.empty()


def test_what_is_no_server_is_refused_when_it_is_resolved():
    for host in ("http://host", "a b", ""):
        with pytest.raises(InvalidDescriptorError):
            resolve_descriptor(QueueDescriptor("q", "rpc", {"server_address": host or None, "port": 1}))
    with pytest.raises(InvalidDescriptorError):
        resolve_descriptor(QueueDescriptor.create_rpc_queue("localhost", 1, "q"), producer=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def make(name, *more):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run([*command, *more], check=True, capture_output=True)

    make("ca")
    make("stranger")
    signed = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    make("server", *signed, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    make("client", *signed)
    return folder


def test_tls_both_ways(name, certificates):
    file = lambda one: str(certificates / one)  # noqa: E731
    with owned(name) as owner:
        given = ["--tls-cert", file("server.pem"), "--tls-key", file("server.key"), "--tls-client-ca", file("ca.pem")]
        server = Server("--queue", f"jobs=sage:{name}", *given)
        try:

            def handle(**credentials):
                return resolve_descriptor(server.queue("jobs"), credentials=credentials)

            ours = {"ca": file("ca.pem"), "cert": file("client.pem"), "key": (certificates / "client.key").read_text()}
            with handle(**ours) as queue:
                queue.put("in TLS", timeout=20)
            assert owner.get(timeout=20) == "in TLS"
            for credentials, told in (
                ({**ours, "ca": file("stranger.pem")}, "TLS with .* failed"),
                ({"ca": file("ca.pem")}, "asks for a client certificate, and none was given"),
                ({}, "speaks TLS, and was spoken to in plain text"),
            ):
                began = time.monotonic()
                with handle(**credentials) as queue, pytest.raises(QueueConnectionError, match=told):
                    queue.put("never", timeout=60)
                assert time.monotonic() - began < 30, "it ends at once, and not with its time"
            with pytest.raises(QueueConnectionError, match="nor the path"):
                handle(ca="/nowhere/ca.pem")
        finally:
            server.stop()
        assert owner.empty()


# ── connections that break ───────────────────────────────────────────────────


def test_what_was_put_is_in_once_when_the_answer_is_lost(through, proxy):
    """The server has the items, and says so to nobody: they are sent again over the next connection."""
    owner, remote = through
    wanted = ["first"]
    remote.put("first", timeout=60)
    for number in range(6):
        items = [f"{number}-{part}" for part in range(1 + 2 * (number % 2))]
        wanted += items
        proxy.lose("answers")
        put = Call(lambda items=items: remote.put_many(items) if len(items) > 1 else remote.put(items[0]))
        until(lambda: owner.stats()["put_total"] == len(wanted))
        assert put.waits
        proxy.cut()
        assert put.result() == (len(items) if len(items) > 1 else None)
    remote.put("last", timeout=60)
    assert owner.get_many(100) == [*wanted, "last"]


def test_what_was_put_is_in_once_when_it_is_lost_itself(through, proxy):
    owner, remote = through
    for number in range(4):
        remote.put(f"{number}-before", timeout=60)
        proxy.lose("requests")
        put = Call(lambda number=number: remote.put_many([f"{number}-lost", f"{number}-too"]))
        until(lambda: remote._client.puts.in_flight)
        proxy.cut()
        assert put.result() == 2
        assert owner.get_many(100) == [f"{number}-before", f"{number}-lost", f"{number}-too"]


def test_what_is_lost_on_its_way_to_a_get_comes_again(through, proxy):
    owner, remote = through
    assert remote.empty()  # connected
    for number in range(4):
        proxy.lose("answers")
        owner.put(number)
        get = Call(remote.get)
        until(owner.empty)
        assert get.waits
        proxy.cut()
        assert get.result() == number
    until(lambda: drained(owner))


def test_what_a_get_has_does_not_come_again(through, proxy):
    """The server hears only over the next connection that the program has the item."""
    owner, remote = through
    for number in range(4):
        get = Call(remote.get)
        until(lambda: owner.stats()["waiting_getters"] == 1)
        proxy.lose("requests")
        owner.put(number)
        assert get.result() == number
        assert owner.stats()["leased"] == 1
        proxy.cut()
        until(lambda: drained(owner))


def free_port():
    """Below those that the system gives to connections: the second server has it to itself, too."""
    for port in itertools.chain(range(20_000 + os.getpid() % 10_000, 30_000), range(20_000, 30_000)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def test_a_get_that_waits_outlives_the_server(name):
    with owned(name) as owner:
        first = Server(port=free_port())
        with resolve_descriptor(first.queue(name)) as remote:
            found = []
            thread = threading.Thread(target=lambda: found.append(remote.get(timeout=60)))
            thread.start()
            until(lambda: owner.stats()["waiting_getters"] > 0)
            first.stop(signal.SIGKILL)  # one that is stopped says so to those who wait
            second = Server(port=first.port)
            owner.put("later")
            thread.join(60)
            assert found == ["later"]
        second.stop()


def test_a_put_whose_answer_never_came_says_so(through, proxy, monkeypatch):
    monkeypatch.setattr("sage_queue.rpc.pending.GRACE", 0.25)
    owner, remote = through
    remote.put("first", timeout=20)
    proxy.lose("answers")
    with pytest.raises(QueueConnectionError, match="outcome is unknown") as error:
        remote.put("second", timeout=0.3)
    assert error.value.outcome == "unknown"
    with pytest.raises(QueueConnectionError) as error:
        remote.put_many(["third", "fourth"], timeout=0.3)
    assert error.value.outcome == "unknown" and error.value.accepted == 0
    until(lambda: owner.qsize() >= 2)
    assert owner.get_many(2) == ["first", "second"]  # it was in
    proxy.cut()


def test_a_lease_belongs_to_its_connection(through, proxy):
    owner, remote = through
    remote.put("item", timeout=20)
    lease = remote.lease(timeout=20)
    proxy.cut()
    assert owner.get(timeout=20) == "item"
    with pytest.raises(QueueConnectionError, match="went back"):
        lease.ack()


def test_timeouts_and_room(server, name):
    with owned(name, maxsize=2) as _, resolve_descriptor(server.queue(name)) as remote:
        assert remote.empty()  # connected: a short wait would be over before
        with pytest.raises(QueueFullError) as full:
            remote.put_many(range(5), timeout=0.5)
        assert full.value.accepted == 2
        start = time.monotonic()
        with pytest.raises(QueueFullError):
            remote.put(1, timeout=0.1)
        assert 0.1 <= time.monotonic() - start
        remote.get_many(5)
        with pytest.raises(QueueEmptyError):
            remote.lease(timeout=0.05)
        with pytest.raises(ValueError):
            remote.get(timeout=-1)


def test_an_item_that_nobody_here_can_read(server, name):
    from sage_queue.codec import V8

    with owned(name) as owner, resolve_descriptor(server.queue(name)) as remote:

        def fill():
            owner.put(1)
            owner._handle.put(b"\xff", V8, 0.0)
            owner.put(2)

        fill()
        assert remote.get_many(10, timeout=20) == [1]
        with pytest.raises(SerializationError) as error:
            remote.get_many(10, timeout=20)
        assert error.value.bytes == b"\xff" and error.value.codec_id == V8
        assert remote.get_many(10, timeout=20) == [2]
        fill()
        with remote.lease_many(10, timeout=20) as batch:
            assert batch.items == [1]
            batch.ack()
        with pytest.raises(SerializationError):
            remote.lease(timeout=20)
        assert remote.get(timeout=20) == 2
        until(lambda: owner.stats()["leased"] == 0)


def test_a_handle_that_nobody_can_reach_lets_go(server, name):
    with owned(name) as owner:
        remote = resolve_descriptor(server.queue(name))
        owner.put("item")
        lease = remote.lease(timeout=20)
        del remote
        assert owner.stats()["leased"] == 1  # the lease keeps its handle
        del lease
        assert owner.get(timeout=20) == "item"


@pytest.mark.parametrize("how", ["nothing", "a thread that waits", "a lease"])
def test_the_end_of_the_interpreter(server, name, how):
    """With handles that nobody closed: what was put is in, what was held comes again, and the process ends."""
    code = (
        "import sys, threading, time, sage_queue as sq\n"
        f"queue = sq.resolve_descriptor({server.url + name!r})\n"
        "queue.put('item', timeout=20)\n"
        + {
            "nothing": "",
            "a lease": "lease = queue.lease(timeout=20)\n",
            "a thread that waits": "other = sq.resolve_descriptor(queue.descriptor.clone(queue.descriptor.queue_id + '-2'))\n"
            "threading.Thread(target=other.get, daemon=True).start()\n"
            "while not other.stats()['waiting_getters']: time.sleep(0.002)\n",
        }[how]
    )
    with owned(name) as owner, owned(f"{name}-2") as _:
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0
        assert how == "a thread that waits" or ended.stderr == ""
        assert owner.get(timeout=20) == "item"


def test_without_grpc_it_says_what_to_install():
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "import sage_queue as sq\n"
        "try: sq.resolve_descriptor(sq.QueueDescriptor.create_rpc_queue('localhost', 1, 'q'))\n"
        "except sq.QueueConnectionError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'sage-queue[rpc]'" in said


def test_a_forked_child_is_told_to_resolve_anew(server, name):
    with owned(name) as _, resolve_descriptor(server.queue(name)) as remote:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                remote.put(1)
            except sage_queue.QueueClosedError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:
            assert b"fork" in pipe.read()
        os.waitpid(child, 0)
        remote.put("the parent goes on", timeout=20)
        assert remote.get(timeout=20) == "the parent goes on"


def test_what_is_sent_late_is_decided_by_the_queue(through, monkeypatch):
    """A call whose time is over before it is on its way does not say that there is no room, or nothing to have."""
    owner, remote = through
    assert remote.qsize() == 0
    client = remote._client
    flush = client.connection.flush

    def flush_locked():
        with client.lock:
            flush()

    # The thread that sends comes to it late, as it may on a busy machine.
    monkeypatch.setattr(client.connection, "flush", lambda: threading.Timer(0.05, flush_locked).start())
    remote.put("there is room", timeout=0.005)
    assert remote.get(timeout=0.005) == "there is room"
    with pytest.raises(QueueEmptyError):
        remote.get(timeout=0.005)
    assert owner.empty()


def test_an_infinite_timeout_is_none(server, name):
    with get_sage_queue(name) as owner, resolve_descriptor(server.queue(name)) as queue:
        queue.put(1, timeout=float("inf"))
        assert queue.put_many([2, 3], timeout=float("inf")) == 2
        assert queue.get(timeout=float("inf")) == 1
        assert queue.get_many(2, timeout=float("inf")) == [2, 3]
        queue.join(timeout=float("inf"))
        owner.unlink()


@pytest.mark.parametrize("step", ["open_frame", "collect", "on_opened", "on_frame", "has_pending"])
def test_an_error_that_nobody_foresaw_fails_the_call_that_waits(server, name, step):
    with get_sage_queue(name) as owner, resolve_descriptor(server.queue(name)) as queue:
        client, raised = queue._client, threading.Event()
        real = getattr(client, step)

        def broken(*arguments):
            if raised.is_set():
                return real(*arguments)
            raised.set()
            raise ZeroDivisionError("injected")

        setattr(client, step, broken)
        ended = []

        def call():
            try:
                queue.put("first")
                ended.append(None)
            except QueueConnectionError as error:
                ended.append(error)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(20)
        assert raised.is_set() and ended, "it waits for ever"
        assert "injected" in str(ended[0])
        queue.put("second", timeout=20)
        assert owner.get_many(2)[-1] == "second"
        owner.unlink()
