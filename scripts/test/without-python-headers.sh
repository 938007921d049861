#!/usr/bin/env bash
# Runs a command where no Python has its headers, as on most machines: without-python-headers.sh COMMAND…
# They are hidden from it and from what it starts, and from nobody else. Nothing but the Python package may need them.
set -euo pipefail

folders=()
for folder in "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' || true)" /usr/include/python3* /usr/local/include/python3*; do
  [ -e "$folder/Python.h" ] && folders+=("$folder")
done
[ ${#folders[@]} -gt 0 ] || exec "$@"
if ! unshare -m true 2>/dev/null; then
  echo "the headers in ${folders[*]} are not hidden: no mounts may be made here" >&2
  exec "$@"
fi
# shellcheck disable=SC2016 # for the inner shell
exec unshare -m --propagation private bash -euc '
  hidden=$1
  shift
  for folder in "${@:1:hidden}"; do mount -t tmpfs -o size=4k,mode=755 none "$folder"; done
  shift "$hidden"
  exec "$@"' bash "${#folders[@]}" "${folders[@]}" "$@"
