#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Installs the C++ library into a folder of its own, then builds and runs a C++17 project that finds it with find_package.
# Usage: test_consumer.sh BUNDLE
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/consumer-test
jobs=$(nproc)

cmake --preset release -B "$work/library" -DMEDSAM_ENGINE_BENCHMARKS=OFF >/dev/null
cmake --build "$work/library" -j "$jobs"
rm -rf "$work/prefix" "$work/build"
cmake --install "$work/library" --prefix "$work/prefix" >/dev/null

cmake -S tests/consumer -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$PWD/$work/prefix" >/dev/null
cmake --build "$work/build" -j "$jobs"
"$work/build/consumer" "$1"
