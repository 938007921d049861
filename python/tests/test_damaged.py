"""A segment that somebody scribbles on while it is in use: every call ends, in a result or an exception, and none in a crash."""

import subprocess
import sys

from conftest import chosen_seed

ROUNDS = 150

PROGRAM = """
import contextlib, os, random, struct, sys
from sage_queue import QueueError, get_sage_queue
name, rounds, chance = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
path = f"/dev/shm/sage-queue+sage+u{os.getuid()}++{name}"
CALLS = (
    lambda queue: queue.put(b"x" * 50, timeout=0.01),
    lambda queue: queue.put_many([b"y"] * 20, timeout=0.01),
    lambda queue: queue.get(timeout=0.01),
    lambda queue: queue.get_many(10, timeout=0.01),
    lambda queue: queue.lease(timeout=0.01),
    lambda queue: queue.lease_many(5, timeout=0.01).ack(),
    lambda queue: bytes(queue.lease_bytes(timeout=0.01)),
    lambda queue: queue.claim(10, timeout=0.01).abort(),
    lambda queue: queue.join(timeout=0.01),
    lambda queue: (queue.qsize(), queue.full(), queue.stats()),
    lambda queue: get_sage_queue(name).close(),
)
SLOT_COUNT, SLOTS_OFFSET, SLOT_BYTES, RECORD = 88, 144, 32, 8  # of native/core/segment/layout.h

def word_at(file, offset):
    file.seek(offset)
    return struct.unpack("<Q", file.read(8))[0]

def the_next_item(file):
    # Its place and length, which whoever takes it looks at; in every slot, since which is whose is the core's affair.
    for slot in range(word_at(file, SLOT_COUNT)):
        file.seek(word_at(file, SLOTS_OFFSET) + slot * SLOT_BYTES + RECORD)
        file.write(b"\\xff" * 8)

def anything(file):
    size = os.fstat(file.fileno()).st_size
    for _ in range(chance.randrange(1, 5)):
        file.seek(chance.randrange(size // 8) * 8)
        file.write(chance.choice([bytes(8), b"\\xff" * 8, chance.randbytes(8), chance.randbytes(1)]))

corrupt = 0
for number in range(rounds):
    queue = get_sage_queue(name, maxsize=16, capacity_bytes=4096)
    queue.put_many([b"item"] * 5)
    held = queue.lease()
    with open(path, "r+b") as file:
        (the_next_item if number == 0 else anything)(file)  # of what is hit at random, nobody may look at any
    for call in chance.sample(CALLS, len(CALLS)):
        try:
            call(queue)
        except QueueError as error:
            corrupt += error.code == "ERR_SEGMENT_CORRUPT"
    for last in (held.ack, queue.close):
        try:
            last()
        except QueueError:
            pass
    with contextlib.suppress(FileNotFoundError):  # the queue may have taken its name away itself
        os.unlink(path)
print(corrupt)
"""


def test_every_call_on_a_damaged_queue_ends_in_an_exception_or_a_result(name):
    seed = chosen_seed()
    program = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, name, str(ROUNDS), str(seed)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (program.returncode, program.stderr) == (0, ""), f"SEED={seed}\n{program.stderr}"
    assert int(program.stdout) > 0, "not even damage of the item that is next was noticed"
