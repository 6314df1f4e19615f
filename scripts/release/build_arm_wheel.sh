#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The wheel for Linux on Arm, by Debian's cross compiler: built against Debian's Python 3.11 and OpenVINO's wheel for
# aarch64, checked, and tried under qemu in user mode with that Python, NumPy and OpenVINO. dist/ has the wheel.
#   build_arm_wheel.sh [BUNDLE]   the bundle that is tried; tests/data/tiny_bundle by default
# What is fetched lies in build/arm-python. Debian's packages come by apt, which is not told of another architecture.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/release/wheel_parts.sh
bundle=$(realpath "${1:-tests/data/tiny_bundle}")
fetched=$PWD/build/arm-python root=$PWD/build/arm-python/root work=$PWD/build/wheel-arm
for tool in aarch64-linux-gnu-g++ qemu-aarch64-static apt-get; do
  command -v "$tool" >/dev/null && continue
  echo "wheel-arm: not built, there is no $tool (Debian: g++-aarch64-linux-gnu qemu-user-static)"
  exit 0
done

fetch_python() {  # Debian's Python for arm64, unpacked; nothing of this machine's packages changes
  local state=$fetched/apt options
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  touch "$state/status"
  options=(-q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$state" -o Dir::State::lists="$state/lists"
    -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o APT::Sandbox::User="")
  apt-get "${options[@]}" update
  (cd "$fetched" && apt-get "${options[@]}" download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib \
    libpython3.11-dev zlib1g libexpat1 libffi8 libssl3 liblzma5 libbz2-1.0 libuuid1)
  for package in "$fetched"/*.deb; do dpkg -x "$package" "$root"; done
}

fetch_wheels() {  # OpenVINO's and NumPy's for aarch64, unpacked
  local pin platforms=() part
  pin=$(sed -nE 's/^  "(openvino==[^"]+)",$/\1/p' pyproject.toml)
  for part in manylinux_2_35 manylinux_2_28 manylinux2014; do platforms+=(--platform "${part}_aarch64"); done
  .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: "${platforms[@]}" \
    --python-version 3.11 --dest "$fetched" "numpy>=2.0" "$pin"
  for wheel in "$fetched"/{numpy,openvino}-*.whl; do .venv/bin/python -m zipfile -e "$wheel" "$fetched/site"; done
}

mkdir -p "$fetched"
if [ ! -e "$fetched/ready" ]; then
  { fetch_python && fetch_wheels; } >"$fetched/fetch.log" 2>&1 ||
    { tail -n 5 "$fetched/fetch.log"; echo "wheel-arm: not built, Python for arm64 cannot be fetched here"; exit 0; }
  touch "$fetched/ready"
fi

rm -rf "$work" && mkdir -p "$work" dist
defines=(
  CMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake"
  CMAKE_CXX_FLAGS="-isystem $root/usr/include"  # Debian's pyconfig.h includes one by its architecture
  Python_INCLUDE_DIR="$root/usr/include/python3.11"
  PYTHON_MODULE_EXTENSION=.cpython-311-aarch64-linux-gnu.so
  OpenVINO_DIR="$fetched/site/openvino/cmake"
  MEDSAM_ENGINE_CUDA=OFF
)
begin=$SECONDS
_PYTHON_HOST_PLATFORM=linux-aarch64 .venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
  --no-build-isolation --config-settings=build-dir="$work/build" "${defines[@]/#/--config-settings=cmake.define.}" \
  --wheel-dir "$work/raw" . >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
built=$((SECONDS - begin))
# Where auditwheel looks for the libraries of C and C++.
LD_LIBRARY_PATH=/usr/aarch64-linux-gnu/lib repair_wheel "$work"/raw/*.whl "$work/dist"
wheel=$(realpath "$work"/dist/*.whl)
.venv/bin/python scripts/release/check_wheel.py "$wheel"

# Unpacked beside NumPy and OpenVINO: the packages of a thin installation.
site=$work/site python=$work/python libraries=$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu
cp -r "$fetched/site" "$site" && .venv/bin/python -m zipfile -e "$wheel" "$site"
qemu=(qemu-aarch64-static -cpu max -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$libraries:/usr/aarch64-linux-gnu/lib")
emulated() {  # emulated SCRIPT WORD...: a program that this machine can start, since its kernel cannot start Arm's
  printf '#!/bin/sh\nexec' >"$1"
  printf ' %q' "${qemu[@]}" "${@:2}" >>"$1"
  printf ' "$@"\n' >>"$1"
  chmod +x "$1"
}
emulated "$python" -E "PYTHONHOME=$root/usr" -E "PYTHONPATH=$site" -E PYTHONDONTWRITEBYTECODE=1 "$root/usr/bin/python3.11"
for program in medsam-trial medsam-npz; do
  mv "$site/medsam_engine/bin/$program" "$work/$program"
  chmod +x "$work/$program"
  emulated "$site/medsam_engine/bin/$program" "$work/$program"
done
.venv/bin/python tests/wheel/smoke.py "$bundle" write "$work/labels.npy"  # this machine's
begin=$SECONDS
outside "$python" -c 'import runpy, sys; sys.executable, sys.argv = sys.argv[1], sys.argv[2:]; runpy.run_path(sys.argv[0], run_name="__main__")' \
  "$python" "$PWD/tests/wheel/smoke.py" "$bundle" thin "$work/labels.npy"
cp "$wheel" dist/
echo "wheel-arm: $(basename "$wheel"), built in $built s, tried under qemu in $((SECONDS - begin)) s"
