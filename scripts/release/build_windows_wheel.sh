#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The wheel for Windows on x86-64 without OpenVINO, by zig: built for the CPython of .venv's version, checked, installed by pip
# into python.org's embeddable one under wine, and tried there beside NumPy alone and beside all that the package needs.
# dist/ has the wheel.
#   build_windows_wheel.sh JOBS BUNDLE   a bundle with native weights; what is tried has none of its graphs
# The library is built in build/windows, where `make windows` builds and tests it.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/release/wheel_parts.sh
# What needs OpenVINO or a habit of POSIX is skipped by its mark (tests/python/support/system_marks.py).
tests=(tests/python/{base,cli,cohort,engine,io,measure,serve,show} tests/python/test_{errors,paths,window_bits,windows}.py)
jobs=$1 bundle=$(realpath "$2") work=$PWD/build/wheel-windows windows=$PWD/build/windows-python
source scripts/run/wine_environment.sh wheel-windows built
scripts/run/configure_zig.sh windows || exit $(($? == 3 ? 0 : 1))
scripts/release/prepare_windows_python.sh build/zig/ziglang/zig || exit $(($? == 3 ? 0 : 1))
minor=$(cat "$windows/ready")

rm -rf "$work" && mkdir -p "$work" dist
defines=(
  CMAKE_TOOLCHAIN_FILE="$PWD/cmake/x86_64-windows.cmake"
  MEDSAM_ENGINE_ZIG="$PWD/build/zig/ziglang/zig"
  CMAKE_AR="$PWD/build/zig/ar"
  Python_INCLUDE_DIR="$windows/include"
  Python_LIBRARY="$windows/libpython3.$minor.dll.a"
  _Python_RUNTIME_LIBRARY_RELEASE="$windows/python/python3$minor.dll"  # or CMake takes the library for a static one
  PYBIND11_USE_CROSSCOMPILING=ON  # what runs here says nothing about that Python
  PYTHON_IS_DEBUG=OFF
  PYTHON_MODULE_DEBUG_POSTFIX=
  PYTHON_MODULE_EXTENSION=".cp3$minor-win_amd64.pyd"
  MEDSAM_ENGINE_OPENVINO=OFF  # its DLLs take Microsoft's C++
  MEDSAM_ENGINE_CUDA=OFF
)
begin=$SECONDS
CMAKE_BUILD_PARALLEL_LEVEL=$jobs _PYTHON_HOST_PLATFORM=win-amd64 .venv/bin/python -m pip wheel --quiet \
  --disable-pip-version-check --no-deps --no-build-isolation --config-settings=build-dir="$PWD/build/windows" \
  "--config-settings=build.targets=medsam_engine;_core;medsam-npz;medsam-trial;tiny_plugin" --config-settings=install.strip=false \
  "${defines[@]/#/--config-settings=cmake.define.}" --wheel-dir "$work" . >"$work/build.log" 2>&1 ||
  { tail -n 40 "$work/build.log"; exit 1; }
built=$((SECONDS - begin)) wheel=$(echo "$work"/*.whl)
.venv/bin/python scripts/release/check_wheel.py "$wheel"

paths() { printf '%s\n' "python3$minor.zip" . "$@" >"$windows/python/python3$minor._pth"; }  # what can be imported
# Through a pipe: under wine, this Python takes no file for its output.
python() { outside "$wine" "$windows/python/python.exe" -B "$@" </dev/null 2>&1 | cat; }
site=$windows/python/Lib/site-packages
rm -rf "$site" && paths ../tools
python -m pip install --quiet --no-index --no-deps --no-warn-script-location --target "Z:$site" "Z:$wheel"
.venv/bin/medsam-engine fetch litemedsam --out "$work/bundle" >/dev/null
.venv/bin/python tests/wheel/smoke.py "$bundle" write "$work/labels.npy"  # this machine's
begin=$SECONDS
for kind in thin full; do
  echo "wheel-windows: installed with what $([ "$kind" = thin ] && echo "the library itself needs" || echo "the whole package needs")"
  paths Lib/site-packages "../$kind"
  kinds=("$kind")
  [ "$kind" = thin ] || kinds=()
  python "Z:$PWD/tests/wheel/smoke.py" "Z:$work/bundle" "${kinds[@]}" "Z:$work/labels.npy"
done
report=$work/tests.xml failed=0
paths Lib/site-packages ../full ../tools
# The graphs of tests/data/tiny_bundle are the fake backend's, since there is no OpenVINO; LiteMedSAM is the library's own.
MEDSAM_ENGINE_PLUGIN_DIR="Z:$PWD/build/windows/tests/cpp/tiny_plugin" MEDSAM_ENGINE_BUNDLE="Z:$work/bundle" \
  "$wine" "$windows/python/python.exe" -B -m pytest -q -p no:cacheprovider --hypothesis-profile emulator \
  --rootdir "Z:$PWD" --junitxml "Z:$report" "${tests[@]}" </dev/null 2>&1 | cat >"$work/tests.log" || { tail -n 40 "$work/tests.log"; failed=1; }
.venv/bin/python scripts/run/count_tests.py "wheel-windows, Python tests" "$report" || failed=1
[ "$failed" = 0 ] || exit 1
cp "$wheel" dist/
echo "wheel-windows: $(basename "$wheel"), built in $built s, tried under $("$wine" --version) in $((SECONDS - begin)) s"
