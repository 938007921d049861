"""What would go wrong under kills, planted one by one: the campaign of test_mixed_kills.py and its checker say each."""

import os
import select
import signal
import time
from types import SimpleNamespace

import pytest
from mixed.campaign import Campaign, check_history
from mixed.items import item_of
from mixed.languages import with_all

from sage_queue import get_sage_queue

#: What the logs of a producer and two consumers hold, the second one killed with an item in its hand.
PUT = "put p0 0 3\nack p0 0 3\nput p0 3 5\n"
FIRST = "hold p0 0 1\ndone\nhold p0 3 1\ndone\n"
SECOND = "hold p0 1 1\n"
LEFT = [item_of("p0", 2)]


def said(folder, *, put=PUT, first=FIRST, second=SECOND, left=LEFT):
    lives = []
    for role, name, text in (("put", "p0", put), ("get", "g1", first), ("get", "g2", second)):
        (folder / name).write_text(text)
        lives.append(SimpleNamespace(role=role, name=name, log=folder / name))
    checked = check_history(lives, left, folder / "history")
    return checked.returncode, checked.stderr


@with_all
@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ({}, ""),
        ({"left": []}, "loss: 2 of stream p0 went in, and never came out\n"),
        ({"second": ""}, "loss: 1 of stream p0 went in, and never came out\n"),
        ({"first": FIRST + "hold p0 1 2\ndone\n"}, ""),  # killed before its acknowledgement: it comes again
        ({"second": SECOND + "done\n", "left": [*LEFT, item_of("p0", 1)]}, "double: 1 of stream p0 came out more than once\n"),
        ({"second": "hold p0 0 1 p0 1 1\ndone\n"}, "double: 0 of stream p0 came out more than once\n"),
        ({"first": "hold p0 3 1\ndone\nhold p0 0 1\ndone\n"}, "order: receiver g1 got 0 of stream p0 after 3\n"),
        ({"first": "hold p0 3 1\ndone\nhold p0 0 2\ndone\n"}, ""),  # late, since somebody had it before
        ({"first": FIRST + "hold p0 5 1\ndone\n"}, "fiction: 5 of stream p0 came out, and nobody put it\n"),
        ({"put": PUT + "ack p0 3 "}, ""),  # killed while it wrote that
    ],
)
def test_what_the_history_says(history, problem, tmp_path):
    assert said(tmp_path, **history) == (1 if problem else 0, problem)


@pytest.mark.parametrize("torn", ["p0 2 ", "p0 2 " + "c" * 73, "p0 3 " + "c" * 74, "p0 2", "", b"\xff\xfe", b"p0 2 " + b"c" * 73 + b"\0"])
def test_a_torn_item_that_was_left(torn, tmp_path):
    assert item_of("p0", 2) == b"p0 2 " + b"c" * 74
    with pytest.raises(ValueError, match="torn"):
        said(tmp_path, left=[torn])


@pytest.fixture
def campaign(name, tmp_path):
    with get_sage_queue(name, maxsize=64, capacity_bytes=16384) as queue:
        one = Campaign(queue, name, tmp_path, seed=1, idle_nodes=1)
        yield one
        one.end()  # where the test did so, there is nothing to do
        queue.unlink()


def started(campaign, role, language):
    campaign.launch(role, language)
    return campaign.living[-1]


@with_all
@pytest.mark.parametrize("language", ["cpp", "python", "node"])
def test_a_torn_item_on_its_way(campaign, language):
    """Its consumer ends, which is told by the next kill, and by the end of the campaign."""
    for number, is_told in ((1, campaign.kill_one), (2, campaign.end)):
        consumer = started(campaign, "get", language)
        campaign.queue.put(item_of("p0", number))
        end = time.monotonic() + 60
        while not (whole := consumer.log.read_text()).endswith("done\n"):
            assert time.monotonic() < end, whole
            time.sleep(0.002)
        assert whole in (f"hold p0 {number} 1\ndone\n", f"hold p0 {number} 0\ndone\n")  # 0: taken where it lay
        campaign.queue.put("p0 3 torn")
        assert select.select([consumer.fd], [], [], 60)[0], "it took what is torn"
        assert consumer.log.read_text() == whole
        with pytest.raises(AssertionError, match="ended by (itself|themselves)"):
            is_told()
        assert campaign.queue.get(timeout=60) == "p0 3 torn"  # it died with that


@with_all
def test_a_consumer_that_nobody_wakes(campaign, monkeypatch):
    monkeypatch.setattr("mixed.campaign.HUNG_SECONDS", 0.5)
    consumer = started(campaign, "get", "cpp")
    with pytest.raises(AssertionError, match=rf"hung: \[\('cpp', 'get', '{consumer.name}'\)\]"):
        campaign.all_move()


@with_all
def test_a_producer_that_hangs(campaign, monkeypatch):
    producer, consumer = started(campaign, "put", "cpp"), started(campaign, "get", "cpp")
    campaign.all_move()
    os.kill(producer.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, producer.pid, os.WSTOPPED)
    producer.has_moved()
    monkeypatch.setattr("mixed.campaign.HUNG_SECONDS", 0.5)
    with pytest.raises(AssertionError, match=rf"hung: .*'put', '{producer.name}'"):
        campaign.all_move()
    assert consumer in campaign.living
