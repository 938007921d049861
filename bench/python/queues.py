"""One run of a Python queue: producer and consumer processes, counts and order checked, one JSON object at the end."""

import json
import multiprocessing
import struct
import sys
import time


def make_queue(run):
    if run["queue"] == "faster_fifo":
        from faster_fifo import Queue

        return Queue(max_size_bytes=max(1 << 20, 16 * run["work"]["bytes"]))
    if run["queue"] == "iceoryx2":
        from iceoryx2_service import Service

        return Service(run)
    return multiprocessing.Queue(4096)


def produce(queue, run, index, sent, over):
    rest = bytes(run["work"]["bytes"] - 8)
    until = time.monotonic() + (run["warmMs"] + run["measureMs"]) / 1000
    number = 0
    while number % 64 or time.monotonic() < until:
        item = struct.pack("<II", number & 0xFFFFFFFF, index) + rest
        put(queue, item)
        number += 1
    sent.put(number)
    # What an iceoryx2 publisher sent lies in memory of its own, until it ends.
    if run["queue"] == "iceoryx2":
        over.wait()


def put(queue, item):
    while True:
        try:
            return queue.put(item, True, 10)
        except Exception as error:  # faster-fifo raises its own Full
            if type(error).__name__ != "Full":
                raise


def get(queue):
    while True:
        try:
            return queue.get(True, 10)
        except Exception as error:
            if type(error).__name__ != "Empty":
                raise


def consume(queue, run, results):
    expected = [0] * run["producers"]
    received = wrong = measured = 0
    first = start = last = None
    start_count = 0
    single = run["consumers"] == 1
    size = run["work"]["bytes"]
    while True:
        item = get(queue)
        if len(item) == 1:
            break
        number, index = struct.unpack_from("<II", item)
        if len(item) != size or (number != expected[index] if single else number < expected[index]):
            wrong += 1
        expected[index] = number + 1
        received += 1
        if received % 64 == 0:
            now = time.monotonic()
            if first is None:
                first = now
            elif start is None:
                if now - first >= run["warmMs"] / 1000:
                    start, start_count = now, received
            else:
                last, measured = now, received - start_count
    results.put((received, wrong, measured, start, last))


def main():
    run = json.loads(sys.argv[1])
    multiprocessing.set_start_method("fork")
    queue, sent, results = make_queue(run), multiprocessing.Queue(), multiprocessing.Queue()
    over = multiprocessing.Event()
    consumers = [multiprocessing.Process(target=consume, args=(queue, run, results)) for _ in range(run["consumers"])]
    producers = [
        multiprocessing.Process(target=produce, args=(queue, run, index, sent, over)) for index in range(run["producers"])
    ]
    for process in consumers + producers:
        process.start()
    total = sum(sent.get() for _ in producers)
    # A process ends only after its last item is in the pipe: the ends come behind every item.
    if run["queue"] != "iceoryx2":
        for process in producers:
            process.join()
    for _ in consumers:
        put(queue, b"\0")
    reports = [results.get() for _ in consumers]
    over.set()
    for process in consumers + producers:
        process.join()
    received = sum(report[0] for report in reports)
    wrong = sum(report[1] for report in reports)
    if received != total or wrong:
        sys.exit(f"{total} items were sent, {received} came, {wrong} of them wrong")
    active = [report for report in reports if report[2]]
    seconds = max(report[4] for report in active) - min(report[3] for report in active)
    print(json.dumps({"value": sum(report[2] for report in active) / seconds, "messages": received}))


main()
