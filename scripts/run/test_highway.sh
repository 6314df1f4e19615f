#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The kernels' tests with the release of Highway that cmake/fetched_libraries.cmake pins, whatever the system has: wheels
# are built with it, and its targets have other names. test_highway.sh JOBS [FOLDER]; FOLDER: another release's sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 log=build/highway-configure.log
mkdir -p build
if ! cmake --preset highway ${2:+-B build/highway-other -DMEDSAM_ENGINE_WERROR=OFF "-DFETCHCONTENT_SOURCE_DIR_HWY=$2"} >"$log" 2>&1; then
  if grep -qE "(Failed to download|download of .* failed|Each download failed)" "$log"; then
    echo "highway: not tested, the sources of the pinned release cannot be downloaded here"
    exit 0
  fi
  cat "$log"
  exit 1
fi
folder=build/highway${2:+-other}
cmake --build "$folder" -j "$jobs" --target test_kernels >/dev/null
"$folder/tests/cpp/kernels/test_kernels" --gtest_brief=1 --gtest_output="xml:$folder/test_kernels.xml"
version=$(sed -n 's/^project(hwy VERSION \([0-9.]*\)).*/\1/p' "${2:-$folder/_deps/hwy-src}/CMakeLists.txt")
echo "highway ${version:-of unknown version}: $(sed -n 's/.*name="\(kernels\|product\)" value="\([^"]*\)".*/\2/p' "$folder/test_kernels.xml" | paste -sd' ')"
