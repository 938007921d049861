#!/usr/bin/env bash
# The queues on Ray in Python, and those in shared memory that its tasks use, in a real cluster:
#   node scripts/test/ray-cluster.mjs scripts/test/test-python-ray.sh [pytest's arguments]
# First through Ray Client, as from another host, then as a driver on the cluster. It takes the wheel of scripts/build/python-package.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
wheel=$(ls out/python/dist/*.whl)
"$RAY_PYTHON" -m pip --disable-pip-version-check --quiet install --force-reinstall --no-deps "$wheel"
"$RAY_PYTHON" -m pip --disable-pip-version-check --quiet install "$wheel" 'pytest>=8'
for address in "$RAY_ADDRESS" "$RAY_GCS_ADDRESS"; do
  PYTHON_RAY_ADDRESS=$address "$RAY_PYTHON" -m pytest python/tests/test_ray.py python/tests/test_ray_tasks.py "$@"
done
