#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The two wheels for Linux on Arm and CPython 3.11, checked, and tried under qemu in user mode with Debian's Python beside NumPy:
#   openvino   with OpenVINO's plugin, by Debian's cross compiler, for glibc 2.35 or newer as OpenVINO's own wheel
#   core       without it, by zig, for glibc 2.28 or newer; its programs are tried with glibc 2.31 as well
# dist/ has the wheels.
# An emulator tells what is right, and nothing of how fast: the core's part takes minutes, since native weights are computed there.
#   build_arm_wheel.sh JOBS [openvino | core]...   both by default
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/release/wheel_parts.sh
jobs=$1 work=$PWD/build/wheel-arm fetched=$PWD/build/arm-python root=$PWD/build/arm-python/root zig=$PWD/build/zig
export ZIG_GLOBAL_CACHE_DIR=$zig/cache ZIG_LOCAL_CACHE_DIR=$zig/cache
shift
kinds=("$@")
[ $# -gt 0 ] || kinds=(openvino core)
for tool in aarch64-linux-gnu-g++ qemu-aarch64-static apt-get; do
  command -v "$tool" >/dev/null && continue
  echo "wheel-arm: not built, there is no $tool (Debian: g++-aarch64-linux-gnu qemu-user-static)"
  exit 0
done
scripts/release/prepare_arm_python.sh || exit $(($? == 3 ? 0 : 1))
mkdir -p dist

build() {  # build KIND BUILD-FOLDER [SETTING...]: the wheel as pip makes it, in build/wheel-arm/KIND/raw
  local out=$work/$1
  CMAKE_BUILD_PARALLEL_LEVEL=$jobs _PYTHON_HOST_PLATFORM=linux-aarch64 .venv/bin/python -m pip wheel --quiet \
    --disable-pip-version-check --no-deps --no-build-isolation --config-settings=build-dir="$2" "${@:3}" \
    --config-settings=cmake.define.Python_INCLUDE_DIR="$fetched/include" \
    --config-settings=cmake.define.PYTHON_MODULE_EXTENSION=.cpython-311-aarch64-linux-gnu.so \
    --config-settings=cmake.define.MEDSAM_ENGINE_CUDA=OFF --wheel-dir "$out/raw" . >"$out/build.log" 2>&1 ||
    { tail -n 40 "$out/build.log"; exit 1; }
}

build_openvino() {
  build openvino "$work/openvino/build" --config-settings=cmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" \
    --config-settings=cmake.define.OpenVINO_DIR="$fetched/openvino/openvino/cmake"
}

build_core() {  # in the folder of the preset, where its tests are built as well
  scripts/run/configure_zig.sh arm-glibc-2.28 || exit $(($? == 3 ? 0 : 1))
  build core "$PWD/build/arm-glibc-2.28" \
    --config-settings=cmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu-zig.cmake" \
    --config-settings=cmake.define.MEDSAM_ENGINE_ZIG="$zig/ziglang/zig" --config-settings=cmake.define.CMAKE_AR="$zig/ar" \
    --config-settings=cmake.define.MEDSAM_ENGINE_OPENVINO=OFF --config-settings=install.strip=false \
    "--config-settings=build.targets=medsam_engine;_core;medsam-npz;medsam-trial"
}

emulated() {  # emulated SCRIPT WORD...: a program that this machine can start, since its kernel cannot start Arm's
  {
    printf '#!/bin/sh\nexec qemu-aarch64-static -cpu max'
    printf ' %q' "${@:2}"
    printf ' "$@"\n'
  } >"$1"
  chmod +x "$1"
}

# The smoke test of a thin installation, in Debian's Python: unpacked beside NumPy and, with the plugin, beside OpenVINO.
try_in_python() {  # try_in_python KIND WHEEL BUNDLE
  local out=$work/$1 site=$work/$1/site libraries=$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu program
  mkdir -p "$site"
  [ "$1" = core ] || ln -s "$fetched/openvino/openvino" "$site/openvino"
  .venv/bin/python -m zipfile -e "$2" "$site"
  local debian=(-L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$libraries:/usr/aarch64-linux-gnu/lib")
  emulated "$out/python" "${debian[@]}" -E "PYTHONHOME=$root/usr" -E "PYTHONPATH=$site:$fetched/numpy" -E PYTHONDONTWRITEBYTECODE=1 \
    "$root/usr/bin/python3.11"
  for program in medsam-trial medsam-npz; do
    mv "$site/medsam_engine/bin/$program" "$site/medsam_engine/bin/$program.arm64"
    chmod +x "$site/medsam_engine/bin/$program.arm64"
    emulated "$site/medsam_engine/bin/$program" "${debian[@]}" "$site/medsam_engine/bin/$program.arm64"
  done
  .venv/bin/python tests/wheel/smoke.py "$3" write "$out/labels.npy"  # this machine's
  outside "$out/python" -c \
    'import runpy, sys; sys.executable, sys.argv = sys.argv[1], sys.argv[2:]; runpy.run_path(sys.argv[0], run_name="__main__")' \
    "$out/python" "$PWD/tests/wheel/smoke.py" "$3" thin "$out/labels.npy"
}

for kind in "${kinds[@]}"; do
  rm -rf "${work:?}/$kind" && mkdir -p "$work/$kind"
  begin=$SECONDS
  "build_$kind"
  built=$((SECONDS - begin)) begin=$SECONDS
  # Where auditwheel looks for the libraries of C and C++.
  LD_LIBRARY_PATH=/usr/aarch64-linux-gnu/lib repair_wheel "$work/$kind"/raw/*.whl "$work/$kind/dist"
  wheel=$(realpath "$work/$kind"/dist/*.whl)
  if [ "$kind" = core ]; then
    .venv/bin/python scripts/release/check_wheel.py "$wheel" core
    .venv/bin/medsam-engine fetch litemedsam --out "$work/bundle" >/dev/null
    try_in_python core "$wheel" "$work/bundle"
    PYTHONPATH=tests/wheel .venv/bin/python scripts/release/try_old_glibc.py "$wheel" "$work/bundle" "$work/core/labels.npy" \
      "$fetched/glibc" "$work/core/old"
  else
    .venv/bin/python scripts/release/check_wheel.py "$wheel"
    try_in_python openvino "$wheel" "$PWD/tests/data/tiny_bundle"
  fi
  cp "$wheel" dist/
  echo "wheel-arm: $(basename "$wheel"), built in $built s, tried under qemu in $((SECONDS - begin)) s"
done
