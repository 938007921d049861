#!/usr/bin/env bash
# The wheel of this machine's platform (one for every Python from 3.11 on) and the source distribution, into out/python/dist.
# It takes a C++17 compiler; the wheel carries the tag of the machine it was built on, and needs its libc or a later one.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
folder=$PWD/out/python
mkdir -p "$folder"
[ -x "$folder/venv/bin/python" ] || "$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install 'setuptools>=70.1' wheel
rm -rf "$folder/dist"
cd python
"$folder/venv/bin/python" setup.py --quiet bdist_wheel --dist-dir "$folder/dist" sdist --dist-dir "$folder/dist" >"$folder/build.log" 2>&1 ||
  { cat "$folder/build.log"; exit 1; }
ls "$folder/dist"
