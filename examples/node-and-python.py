"""The workers of node-and-python.mjs: python3 node-and-python.py QUEUE"""

import statistics
import sys

from sage_queue import QueueShutDownError, get_sage_queue

samples, results = get_sage_queue(sys.argv[1]), get_sage_queue(f"{sys.argv[1]}-results")
while True:
    try:
        lease = samples.lease()
    except QueueShutDownError:
        break
    with lease:
        sample = lease.item
        values = sample["values"]  # Node's Float64Array: array.array("d"), or numpy.asarray(values) without a copy
        results.put({"id": sample["id"], "median": statistics.median(values)})
        lease.ack()  # without it, or if this process dies before, the sample comes again
samples.close()
results.close()
