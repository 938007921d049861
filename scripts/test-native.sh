#!/bin/sh
# The C++ tests, with plain CMake and without Node: as they ship, then under the sanitizers.
set -eu
cd "$(dirname "$0")/.."

build_and_test() {
  name=$1
  shift
  cmake -S . -B "out/$name" -DSAGE_BUILD_ADDON=OFF -DSAGE_BUILD_TESTS=ON "$@" >/dev/null
  cmake --build "out/$name" --parallel 2
  ctest --test-dir "out/$name" --output-on-failure
}

build_and_test release
build_and_test asan -DSAGE_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Debug
build_and_test tsan -DSAGE_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug
