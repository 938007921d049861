"""The program of examples/ that is written in Node and Python runs as it stands, and loses nothing with the worker that it kills."""

import math
import os
import statistics
import subprocess
import sys

from conftest import ROOT
from mixed.languages import NODE, with_node


@with_node
def test_node_and_python():
    program = subprocess.run(
        [NODE, ROOT / "examples/node-and-python.mjs"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )
    largest = max(statistics.median(math.sin(first + n) for n in range(101)) for first in range(200))
    assert (program.returncode, program.stderr, program.stdout) == (0, "", f"200 medians, the largest {largest:.4f}\n")
