#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds every C++ and C example against an installed library, then runs them and the Python ones in tests.
# Usage: test_examples.sh BUNDLE
set -euo pipefail
cd "$(dirname "$0")/../.."
bundle=$(realpath "$1")
work=$PWD/build/examples
jobs=${JOBS:-$(nproc)}

mkdir -p "$work"
scripts/run/install_library.sh "$work/prefix"
for example in cpp_minimal c_minimal itk_viewer qt_annotator; do
  cmake -S "examples/$example" -B "$work/$example" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/$example.log" 2>&1 || { tail -n 30 "$work/$example.log"; exit 1; }
  cmake --build "$work/$example" -j "$jobs"
done
MEDSAM_ENGINE_BUNDLE=$bundle MEDSAM_ENGINE_EXAMPLES=$work .venv/bin/python -m pytest -q tests/examples
