#!/usr/bin/env bash
# The C++ tests, with plain CMake and without the addon. `all` adds the model checker and the sanitizers; `campaign [KILLS]` is
# the long form of the deaths, `campaign-apart [KILLS]` that of deaths in namespaces of their own, `exhaustive` that of the model's small histories.
set -euo pipefail
cd "$(dirname "$0")/../.."

configure() {
  name=$1
  shift
  cmake -S . -B "out/$name" -DSAGE_BUILD_ADDON=OFF -DSAGE_BUILD_TESTS=ON "$@" >/dev/null
}
compile() {
  name=$1
  shift
  cmake --build "out/$name" --parallel 2 "$@" >"out/$name.log" 2>&1 || { cat "out/$name.log"; exit 1; }
}
build() {
  configure "$@"
  compile "$1"
}
run() {
  name=$1
  shift
  node scripts/test/left-behind.cjs list >"out/$name.before"
  ctest --test-dir "out/$name" --output-on-failure "$@"
  node scripts/test/left-behind.cjs check "out/$name.before" "the tests in out/$name"
}

mkdir -p out
if [ "${1:-}" = workers ]; then  # those in C++ that the tests of mixed languages start
  configure failpoints -DSAGE_FAILPOINTS=ON
  compile failpoints --target mixed_worker demo_worker
  exit
fi
build failpoints -DSAGE_FAILPOINTS=ON
case "${1:-}" in
  '')
    run failpoints --label-exclude model --verbose | grep -vE '^(test|Test timeout|Connected|UpdateCTest|Constructing|Test command)' ;;
  all)
    run failpoints
    build asan -DSAGE_FAILPOINTS=ON -DSAGE_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Debug
    run asan
    build tsan -DSAGE_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug
    run tsan
    node scripts/test/native-mutants.mjs --short ;;
  campaign)
    out/failpoints/native/test/kill "${2:-100000}" ;;
  campaign-apart)
    out/failpoints/native/test/kill apart "${2:-100000}" ;;
  exhaustive)
    out/failpoints/native/test/model exhaustive-long ;;
  *)
    echo "usage: $0 [all | campaign [KILLS] | campaign-apart [KILLS] | exhaustive]" >&2
    exit 2 ;;
esac
