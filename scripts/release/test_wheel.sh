#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds the sdist, and from it the wheel as a stranger's pip would (build isolation on), installs the wheel into an
# empty environment without torch and into one that has only numpy and openvino, runs the smoke test in both, and builds the
# C++ and C examples against that wheel alone.
# Usage: test_wheel.sh BUNDLE
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/release/wheel_parts.sh
bundle=$(realpath "$1")
work=build/wheel-test
rm -rf "$work" && mkdir -p "$work"

make_sdist "$work"
build_wheel .venv/bin/python "$work/source" "$work/raw"
repair_wheel "$work"/raw/*.whl "$work/dist"
ls -l "$work"/dist
.venv/bin/python scripts/release/check_wheel.py "$work"/dist/*.whl
base=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
install_thin "$base" "$work/thin" "$work"/dist/*.whl
smoke_test "$work/thin" "$bundle" thin
install_wheel "$base" "$work/venv" "$work"/dist/*.whl
smoke_test "$work/venv" "$bundle"
build_examples "$work/venv" "$bundle" "$work"
