"""Workers in C++, Python and Node on one queue are killed at random: nothing is lost, doubled, torn, or hangs."""

import contextlib
import os
import subprocess
import time

from conftest import ROOT, chosen_seed
from mixed.campaign import Campaign, check_history
from mixed.languages import NODE, with_all

from sage_queue import QueueEmptyError, QueueTimeoutError, get_sage_queue

KILLS = int(os.environ.get("SAGE_QUEUE_KILLS", "2000"))


def is_drained(queue):
    """Nothing is in it, and nobody has anything of it."""
    try:
        queue.join(timeout=0)
    except QueueTimeoutError:
        return False
    return True


@with_all
def test_kills_of_three_languages(name, tmp_path):
    seed = chosen_seed()
    start = time.monotonic()
    with get_sage_queue(name, maxsize=64, capacity_bytes=16384) as queue:
        campaign = Campaign(queue, name, tmp_path, seed)
        try:
            campaign.run(KILLS)
        finally:
            campaign.end()
        left = []
        late = time.monotonic() + 60
        while not is_drained(queue):  # what the dead had comes back
            assert time.monotonic() < late, f"SEED={seed}: {queue.stats()}"
            with contextlib.suppress(QueueEmptyError):
                left.append(queue.get(timeout=0.1))
        stats = queue.stats()
        assert (stats["leased"], stats["qsize"]) == (0, 0)
    took = time.monotonic() - start
    # A process that is killed while it makes its doorbell leaves that: nobody has heard of it yet.
    subprocess.run([NODE, ROOT / "dist/cli/main.js", "prune"], check=True, capture_output=True, timeout=60)
    checked = check_history(campaign.lives, left, tmp_path / "history")
    assert checked.returncode == 0, f"SEED={seed}\n{checked.stdout}{checked.stderr}"
    print(f"{sum(campaign.killed.values())} kills in {took:.0f} s, {dict(campaign.killed)}: {checked.stdout}", end="")
