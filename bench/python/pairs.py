"""One run of one contender: items from one process to another, or round trips with a process of Node.

    pairs.py CONTENDER WARM_MS MEASURE_MS NODE_ECHO     prints {"value": items per second, or microseconds a trip}
    pairs.py contenders                                 prints {"SUITE": [names]}; a contender is SUITE/NAME

The producer is a forked process, the consumer this one. What comes is compared with what was sent, each 64th item.
"""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time

BATCH = 64
ITEMS = [number.to_bytes(8, "little") * 8 for number in range(1024)]
DICTS = [{"id": number, "name": "picture.png", "width": 320, "ratio": number / 7, "ready": number % 2 == 0} for number in range(1024)]
SCHEMA = {"id": "u32", "name": "string", "width": "u32", "ratio": "f64", "ready": "bool"}
MIB = 1 << 20
WARM, MEASURE = (float(text) / 1000 for text in sys.argv[2:4] or "00")
NAME = f"bench-python-{os.getpid()}"


def sage(capacity_bytes=MIB, **options):
    from sage_queue import get_sage_queue

    return lambda: get_sage_queue(NAME, maxsize=4096, capacity_bytes=capacity_bytes, **options)


def faster_fifo(**options):
    from faster_fifo import Queue

    queue = Queue(max_size_bytes=MIB, **options)
    return lambda: queue


def standard():
    queue = multiprocessing.Queue(4096)
    return lambda: queue


def patient(call, *arguments):
    """faster-fifo's calls end after a time of their own."""
    while True:
        try:
            return call(*arguments)
        except Exception as error:
            if type(error).__name__ not in ("Full", "Empty"):
                raise


def put_each(items):
    def produce(queue):
        put = queue.put
        while True:
            for item in items:
                put(item)

    return produce


def put_batches(items):
    batches = [items[at : at + BATCH] for at in range(0, len(items), BATCH)]

    def produce(queue):
        while True:
            for batch in batches:
                patient(queue.put_many, batch)

    return produce


def get_each(items):
    def consume(queue):
        get, at = queue.get, 0
        while True:
            for _ in range(63):
                get()
            at = (at + 64) % len(items)
            check(get(), items[at - 1])
            yield 64

    return consume


def get_batches(items):
    def consume(queue):
        at = 0
        while True:
            got = patient(queue.get_many, BATCH) if hasattr(queue, "descriptor") else patient(lambda: queue.get_many(max_messages_to_get=BATCH))
            check(got[0], items[at])
            at = (at + len(got)) % len(items)
            yield len(got)

    return consume


def check(found, wanted):
    if found != wanted:
        sys.exit(f"{found!r} came instead of {wanted!r}")


def picture():
    import numpy

    return numpy.arange(MIB, dtype="u1")


def put_pictures(queue):
    source = picture()
    while True:
        queue.put(source)


def get_pictures(queue):
    source = picture()
    while True:
        found = queue.get()
        check((found.size, int(found[-1])), (MIB, int(source[-1])))
        yield 1


def claim_pictures(queue):
    import numpy

    source = picture()
    while True:
        with queue.claim(MIB) as view:
            numpy.frombuffer(view, "u1")[:] = source


def lease_pictures(queue):
    import numpy

    source = picture()
    while True:
        with queue.lease_bytes() as leased:
            found = numpy.frombuffer(leased, "u1")
            check((found.size, int(found[-1])), (MIB, int(source[-1])))
            del found
            leased.ack()
        yield 1


#: How the queue is made, what the producer and the consumer do.
PAIRS = {
    "one/sage": (sage, put_each(ITEMS), get_each(ITEMS)),
    "one/multiprocessing": (standard, put_each(ITEMS), get_each(ITEMS)),
    "one/faster_fifo": (faster_fifo, put_each(ITEMS), get_each(ITEMS)),
    "batch/sage": (sage, put_batches(ITEMS), get_batches(ITEMS)),
    "batch/faster_fifo": (faster_fifo, put_batches(ITEMS), get_batches(ITEMS)),
    "dict/sage": (sage, put_each(DICTS), get_each(DICTS)),
    "dict/sage_schema": (lambda: sage(schema=SCHEMA), put_each(DICTS), get_each(DICTS)),
    "dict/multiprocessing": (standard, put_each(DICTS), get_each(DICTS)),
    "numpy/sage": (lambda: sage(capacity_bytes=16 * MIB), claim_pictures, lease_pictures),
    "numpy/multiprocessing": (standard, put_pictures, get_pictures),
}


def throughput(contender):
    multiprocessing.set_start_method("fork")
    make, produce, consume = PAIRS[contender]
    opener = make()
    queue = opener()
    producer = multiprocessing.Process(target=lambda: produce(opener()), daemon=True)
    producer.start()
    rounds = consume(queue)
    start = time.monotonic()
    while time.monotonic() - start < WARM:
        next(rounds)
    start, count = time.monotonic(), 0
    while True:
        for _ in range(4):
            count += next(rounds)
        took = time.monotonic() - start
        if took >= MEASURE:
            break
    producer.kill()
    producer.join()
    if hasattr(queue, "unlink"):
        queue.unlink()
        queue.close()
    return count / took


def trips(call):
    start = time.monotonic()
    while time.monotonic() - start < WARM:
        call()
    start, count = time.monotonic(), 0
    while True:
        for _ in range(64):
            call()
        count += 64
        took = time.monotonic() - start
        if took >= MEASURE:
            return took / count * 1e6


def trip_by_queue(echo):
    from sage_queue import get_sage_queue

    with get_sage_queue(f"{NAME}-to") as there, get_sage_queue(f"{NAME}-back") as back:
        node = subprocess.Popen([*echo, "queue", f"{NAME}-to", f"{NAME}-back"])
        item = ITEMS[7]

        def call():
            there.put(item)
            check(back.get(timeout=30), item)

        took = trips(call)
        there.shutdown()
        node.wait()
    return took


def trip_by_socket(echo):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        node = subprocess.Popen([*echo, "socket", path])
        connection, _ = server.accept()
        item = ITEMS[7]

        def call():
            connection.sendall(item)
            found = connection.recv(64)
            while len(found) < 64:
                found += connection.recv(64 - len(found))
            check(found, item)

        took = trips(call)
        connection.close()
        node.wait()
    return took


TRIPS = {"trip/sage": trip_by_queue, "trip/unix_socket": trip_by_socket}


def contenders():
    found = {}
    for name in [*PAIRS, *TRIPS]:
        suite, contender = name.split("/")
        found.setdefault(suite, []).append(contender)
    return found


if __name__ == "__main__":
    name = sys.argv[1]
    if name == "contenders":
        print(json.dumps(contenders()))
    else:
        value = TRIPS[name](sys.argv[4:]) if name in TRIPS else throughput(name)
        print(json.dumps({"value": value}))
