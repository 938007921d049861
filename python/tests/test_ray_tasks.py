"""Tasks of a real cluster of Ray that use queues in the shared memory of their host: no actor is in between."""

import os
import signal

import numpy
import pytest

from sage_queue import get_sage_queue, resolve_descriptor

ray = pytest.importorskip("ray")
#: A worker of Ray starts slowly on a busy machine.
LONG = 60


@pytest.fixture(scope="module", autouse=True)
def driver():
    ray.init(os.environ["PYTHON_RAY_ADDRESS"], log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def shared(name):
    """The driver's handles on two queues. The cluster of the tests has one host: this one."""
    with get_sage_queue(f"{name}-jobs") as jobs, get_sage_queue(f"{name}-results") as results:
        yield jobs, results


def test_a_task_shares_memory_with_its_driver(shared):
    """Descriptors are all that it is given: it leases each item, answers it, and acknowledges it."""
    jobs, results = shared

    @ray.remote(num_cpus=0)  # defined here, and so pickled whole: a worker cannot import this file
    def answer_all(jobs_at, results_at):
        with resolve_descriptor(jobs_at, create="never") as jobs, resolve_descriptor(results_at, create="never") as results:
            while True:
                with jobs.lease(timeout=LONG) as lease:
                    results.put((lease.item, lease.deliveries), timeout=LONG)
                    lease.ack()
                    if lease.item == "end":
                        return os.getpid(), jobs.qsize(), jobs.stats()["leased"]

    task = answer_all.remote(jobs.descriptor, results.descriptor)
    values = [1, 2**60, 1.5, "é", b"bytes", None, True, [1, [2]], {"a": {"b": 1}}, {1, 2}, *(b"x" * 97 * n for n in range(100))]
    for value in values:  # there and back, one by one: it waits for each
        jobs.put(value)
        assert results.get(timeout=LONG) == [value, 1]
    jobs.put_many([*values, "end"])  # and many on their way at a time: both have room for all
    for value in [*values, "end"]:
        assert results.get(timeout=LONG) == [value, 1]
    pid, left, leased = ray.get(task, timeout=LONG)
    assert pid != os.getpid() and (left, leased) == (0, 0)
    assert jobs.empty() and results.empty()


def test_a_task_attaches_by_name_and_looks_where_the_bytes_lie(shared):
    jobs, results = shared

    @ray.remote(num_cpus=0)
    def sums(jobs_name, results_name, count):
        with get_sage_queue(jobs_name) as jobs, get_sage_queue(results_name) as results:
            for _ in range(count):
                with jobs.lease_bytes(timeout=LONG) as leased:
                    results.put(int(numpy.frombuffer(leased, "u4").sum(dtype="u8")), timeout=LONG)
                    leased.ack()

    task = sums.remote(jobs.descriptor.queue_id, results.descriptor.queue_id, 20)
    for number in range(20):
        with jobs.claim(4 * 10_000) as view:
            numpy.frombuffer(view, "u4")[:] = number
        assert results.get(timeout=LONG) == number * 10_000
    ray.get(task, timeout=LONG)


def test_what_a_task_held_when_its_worker_was_killed_comes_again(shared):
    jobs, results = shared

    @ray.remote(num_cpus=0, max_retries=0)
    def dies(jobs_at, results_at):
        jobs, results = resolve_descriptor(jobs_at), resolve_descriptor(results_at)
        lease = jobs.lease(timeout=LONG)  # kept: one that nobody refers to goes back, and counts as no crash
        results.put(lease.item)
        os.kill(os.getpid(), signal.SIGKILL)

    jobs.put("item")
    task = dies.remote(jobs.descriptor, results.descriptor)
    assert results.get(timeout=LONG) == "item"
    with jobs.lease(timeout=LONG) as lease:
        assert (lease.item, lease.deliveries, lease.crashes) == ("item", 2, 1)
        lease.ack()
    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(task, timeout=LONG)
    assert jobs.empty() and results.empty()
