#!/usr/bin/env bash
# Installs the library of a build folder elsewhere, and builds and runs the examples on what was installed, as their
# reader does: by CMake, and by pkg-config where that is there.
set -euo pipefail
build=$1
source=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cmake --install "$build/native/c_api" --prefix "$folder/prefix" >"$folder/install.log"
cmake -S "$source/examples/native" -B "$folder/build" -DCMAKE_PREFIX_PATH="$folder/prefix" >"$folder/log"
cmake --build "$folder/build" >>"$folder/log" || { cat "$folder/log"; exit 1; }

run() {
  local queue="c-installed-$$-$2"
  timeout 60 "$1" "$queue" 10000 &
  local putter=$!
  found=$(timeout 60 "$folder/build/sum_numbers" "$queue")
  wait "$putter"
  echo "$2: $found"
  [ "$found" = '10000 numbers, 49995000 in all' ]
}
run "$folder/build/put_numbers" cmake

if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH
  PKG_CONFIG_PATH=$(dirname "$(find "$folder/prefix" -name sage_queue.pc)")
  read -ra flags <<<"$(pkg-config --cflags --libs sage_queue)"
  cc -std=c11 "$source/examples/native/put_numbers.c" -o "$folder/put_numbers" "${flags[@]}" \
    -Wl,-rpath,"$(pkg-config --variable=libdir sage_queue)"
  run "$folder/put_numbers" pkg-config
fi
