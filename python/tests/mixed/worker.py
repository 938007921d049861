"""The workers in Python: those of worker.cc, forked from one process that has imported everything.

Its standard input is a line `put|get QUEUE NAME LOG` for each; the answer is its pid.
"""

import os
import random
import signal
import sys
import time

from items import item_of, whole

from sage_queue import get_sage_queue


def pause_now_and_then(chance):
    if chance.randrange(8) == 0:
        time.sleep(chance.random() * 0.004)


def put(queue, stream, say, chance):
    number = 0
    while True:
        size = chance.randrange(1, 9)
        say(f"put {stream} {number} {number + size}")
        if size == 1:
            queue.put(item_of(stream, number))
        else:
            queue.put_many(item_of(stream, one) for one in range(number, number + size))
        say(f"ack {stream} {number} {number + size}")
        number += size
        pause_now_and_then(chance)


def held(lease):
    stream, number = whole(lease.item)
    return f" {stream} {number} {lease.deliveries}"


def get(queue, _, say, chance):
    while True:
        with queue.lease_many(chance.randrange(1, 9)) as batch:
            say("hold" + "".join(map(held, batch.leases)))
            batch.ack()
            say("done")
        pause_now_and_then(chance)


def live(role, name, stream, log):
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    queue = get_sage_queue(name)
    {"put": put, "get": get}[role](queue, stream, lambda line: os.write(file, line.encode() + b"\n"), random.Random())


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                live(*line.split())
            except BaseException as error:
                print(f"a worker failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        print(pid, flush=True)


main()
