"""The programs of other languages that the tests start, and whether they are there."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import ROOT

NODE = shutil.which("node")
DIST = ROOT / "dist/index.js"
#: Made by scripts/test/test-python.sh.
CPP = ROOT / "out/failpoints/native/test/mixed_worker"
DEMO_CPP = CPP.with_name("demo_worker")

with_node = pytest.mark.skipif(
    (NODE is None or not DIST.exists()) and not os.environ.get("CI"), reason="node, and npm run build, are needed"
)
with_all = pytest.mark.skipif(
    (NODE is None or not DIST.exists() or not CPP.exists() or not DEMO_CPP.exists()) and not os.environ.get("CI"),
    reason="node with npm run build, and the workers in C++ that npm run test:python builds, are needed",
)


def node(code, *arguments, **options):
    """A program of Node: `sq` is the package, `given` are the arguments."""
    program = f"const sq = require({json.dumps(str(DIST))}); const given = process.argv.slice(1); (async () => {{ {code} }})();"
    return subprocess.Popen([NODE, "-e", program, *map(str, arguments)], text=True, **options)
