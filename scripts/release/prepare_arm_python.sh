#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# What the wheels for Linux on Arm are built against and tried with, in build/arm-python:
#   root/     Debian 12's Python 3.11 for arm64, unpacked, so that nothing of this machine's packages changes
#   include/  its headers alone, with the configuration for arm64
#   numpy/, openvino/   their wheels for aarch64, unpacked
#   glibc/    Debian 11's C library for arm64, 2.31: the oldest that Debian's archive has
# Debian's packages come by apt, which is not told of another architecture. Ends with 3, and a line, where something cannot be
# fetched.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$PWD/build/arm-python log=$PWD/build/arm-python.log
made_by=$(sha256sum <"$0")
[ "$(cat "$place/ready" 2>/dev/null)" != "$made_by" ] || exit 0
rm -rf "$place" && mkdir -p "$place"

unpack() {  # unpack FOLDER SUITE PACKAGE...: of Debian's arm64, into build/arm-python/FOLDER
  local folder=$place/$1 state=$place/apt-$2 options package
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/debs"
  touch "$state/status"
  echo "deb http://deb.debian.org/debian $2 main" >"$state/sources.list"
  options=(-q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$state" -o Dir::State::lists="$state/lists"
    -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=""
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=-)
  # Each step by itself: where the caller asks whether it failed, `set -e` does not end it.
  apt-get "${options[@]}" update && (cd "$state/debs" && apt-get "${options[@]}" download "${@:3}") || return 1
  for package in "$state"/debs/*.deb; do dpkg -x "$package" "$folder" || return 1; done
}

wheels() {  # wheels FOLDER REQUIREMENT...: for aarch64, without what they need, into build/arm-python/FOLDER
  local platforms=() part
  for part in manylinux_2_35 manylinux_2_28 manylinux2014; do platforms+=(--platform "${part}_aarch64"); done
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: "${platforms[@]}" \
    --python-version 3.11 --target "$place/$1" "${@:2}"
}

fetch() {
  unpack root bookworm python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev zlib1g libexpat1 libffi8 \
    libssl3 liblzma5 libbz2-1.0 libuuid1 &&
    unpack glibc bullseye libc6 &&
    wheels numpy "numpy>=2.0" &&
    wheels openvino "$(.venv/bin/python scripts/release/requirements.py openvino)"
}

if ! fetch >"$log" 2>&1; then
  tail -n 5 "$log"
  echo "wheel-arm: not built, Python for arm64 and what belongs to it cannot be fetched here"
  exit 3
fi
cp -r "$place/root/usr/include/python3.11" "$place/include"
cp "$place/root/usr/include/aarch64-linux-gnu/python3.11/pyconfig.h" "$place/include"
echo "$made_by" >"$place/ready"
