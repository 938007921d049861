#!/usr/bin/env bash
# The Python package, as its users install it: built into a wheel, installed into a virtual environment of its own, checked by mypy
# and pyright, tested. Arguments go to pytest. PYTHON names another interpreter than python3 (3.11 or later).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "the Python package takes Python 3.11 or later; PYTHON names one" >&2
  exit 1
fi

folder=out/python
scripts/build/python-package.sh
pip() { "$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
wheel=$(ls "$folder"/dist/*.whl)
pip install --force-reinstall --no-deps "$wheel"
pip install "$wheel[test]"
(cd python && "../$folder/venv/bin/mypy" && "../$folder/venv/bin/pyright" --pythonpath "../$folder/venv/bin/python")
scripts/test/test-native.sh workers
"$folder/venv/bin/python" -m pytest python "$@"
