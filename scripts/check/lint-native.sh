#!/usr/bin/env bash
# C++ by its formatter and its linter. What is not installed is said, and left to the machine that has it.
set -euo pipefail
cd "$(dirname "$0")/../.."

if command -v clang-format >/dev/null; then
  find native examples/native python/src/_native python/tests -name '*.cc' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' | xargs clang-format --dry-run --Werror
else
  echo 'clang-format is not installed: the format of C++ was not checked'
fi
if command -v clang-tidy >/dev/null; then
  cmake -S . -B out/tidy -DSAGE_BUILD_TESTS=ON -DSAGE_FAILPOINTS=ON >/dev/null
  find native/core native/binding native/c_api native/test -name '*.cc' -not -path '*/macos/*' -not -name model.cc -not -path '*/test/model/*' |
    xargs -P "$(nproc)" -n 1 clang-tidy -p out/tidy --quiet 2>out/tidy.log || { grep -v 'warnings generated' out/tidy.log; exit 1; }
else
  echo 'clang-tidy is not installed: C++ was not linted'
fi
