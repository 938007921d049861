"""The demo with workers in Node, Python and C++ on one queue: one outcome, that of one process."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from mixed.languages import DEMO_CPP, NODE, with_all

pytestmark = with_all


ALL = ("--with-python", "--with-cpp", str(DEMO_CPP))


def demo(*arguments, **options):
    return subprocess.Popen(
        [NODE, ROOT / "dist/cli/main.js", "demo", "--json", *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def outcome_of(*arguments):
    program = demo(*arguments)
    out, errors = program.communicate(timeout=120)
    assert (program.returncode, errors) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("queue_type", ["shm", "sage_queue"])
def test_three_languages_have_one_outcome(queue_type):
    outcome = outcome_of(*ALL, "--type", queue_type, "--workers", "3")
    assert outcome["ok"] and outcome["records"] > 100_000
    assert (outcome["workers"], outcome["workersInPython"], outcome["workersInCpp"]) == (4, 1, 1)
    assert len(outcome["batchesByWorker"]) == 4 and sum(outcome["batchesByWorker"]) == outcome["batches"]
    assert min(outcome["batchesByWorker"]) > 0


def test_python_takes_from_a_server_too():
    outcome = outcome_of("--with-python", "--type", "rpc", "--workers", "2", "--batch", "2000")
    assert outcome["ok"] and outcome["workersInPython"] == 1 and min(outcome["batchesByWorker"]) > 0


def test_a_killed_worker_counts_nothing_twice():
    outcome = outcome_of(*ALL, "--workers", "4", "--kill-a-worker")
    assert outcome["ok"] and outcome["killed"] == 1 and outcome["redelivered"] >= 2


def test_values_that_javascript_reads_and_groups_of_every_kind(tmp_path):
    """The outcome of Python is that of JavaScript to the last digit, whatever stands in the fields."""
    values = ["1", " 2.5e3 ", "0x10", "", "1_000", "Infinity", None, True, 0.1, -0.5, 1.0000005, -1.0000005, 2**53, 1e-7, [1], {"a": 1}, "١"]
    groups = ["a", "", None, True, False, 0, -1, 1.5, 1e21, 1e-7, 123456789012, "é"]
    records = [{"group": group, "value": value} for group in groups for value in values] + [{}, {"value": 1}, {"group": "x"}]
    file = tmp_path / "odd.ndjson"
    file.write_text("\n".join(map(json.dumps, records)) + "\n")
    outcome = outcome_of("--with-python", "--file", str(file), "--group", "group", "--value", "value", "--batch", "1", "--workers", "2")
    assert outcome["ok"] and outcome["records"] == len(records)


def test_workers_end_with_their_parent():
    program = demo(*ALL, "--batch", "1", "--workers", "2", start_new_session=True)
    group = program.pid
    end = time.monotonic() + 60
    while len(members(group)) < 6:  # the parent, producer, collector and a worker in each language
        assert time.monotonic() < end and program.poll() is None
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    while members(group):
        assert time.monotonic() < end, members(group)
        time.sleep(0.01)
    program.communicate()


def members(group):
    """The processes of a process group."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(pid))
    return found
