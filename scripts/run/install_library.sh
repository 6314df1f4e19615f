#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds the library as a distributor would and installs it into a folder of its own. Usage: install_library.sh PREFIX
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/install-library
mkdir -p "$build"
cmake --preset release -B "$build" -DMEDSAM_ENGINE_BENCHMARKS=OFF >"$build/configure.log" 2>&1 || { cat "$build/configure.log"; exit 1; }
cmake --build "$build" -j "${JOBS:-$(nproc)}"
rm -rf "$1"
cmake --install "$build" --prefix "$1" >/dev/null
