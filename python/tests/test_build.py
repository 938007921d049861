"""What who builds the package is told on a machine that cannot."""

import os
import subprocess
import sys

from conftest import ROOT

#: Read by every interpreter that finds it: this one has its headers where there are none.
WITHOUT_HEADERS = """
import sysconfig
paths = sysconfig.get_path
sysconfig.get_path = lambda name, *more, **given: "/nowhere" if name == "include" else paths(name, *more, **given)
"""


def test_missing_headers_are_one_sentence(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_HEADERS)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-temp", tmp_path / "temp", "--build-lib", tmp_path / "lib"]
    built = subprocess.run(
        command, cwd=ROOT / "python", env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    said = f"error: the headers of {sys.executable} are missing: there is no Python.h in /nowhere (Debian: python3-dev)"
    assert (built.returncode, built.stdout, built.stderr.splitlines()[-1]) == (1, "", said)  # before it, what setuptools warns of
    assert not (tmp_path / "temp").exists()  # no compiler was called
