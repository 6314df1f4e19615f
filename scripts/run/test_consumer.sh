#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Installs the C++ library into a folder of its own, moves that folder, and uses it as strangers would: a C++17 project
# with find_package, a C program with pkg-config, and the versions and components that find_package must accept or refuse.
# Usage: test_consumer.sh BUNDLE
set -euo pipefail
cd "$(dirname "$0")/../.."
bundle=$(realpath "$1")
work=$PWD/build/consumer-test
jobs=${JOBS:-$(nproc)}

rm -rf "$work" && mkdir -p "$work"
scripts/run/install_library.sh "$work/installed"
mv "$work/installed" "$work/prefix"  # nothing in it may name the folder it was installed to

find_package() {  # find_package WISH: prints 1 where the package is found
  cmake -S tests/consumer/find -B "$work/find" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" -DWISH="$1" 2>&1 |
    sed -n 's/.*found=\(.*\)/\1/p'
  rm -rf "$work/find"
}
expect() {  # expect FOUND WISH
  [ "$(find_package "$2")" = "$1" ] || { echo "find_package(medsam_engine ${2//;/ }): expected found=$1" >&2; exit 1; }
}
read -r major minor patch <<<"$(sed -nE 's/^project\(.* VERSION ([0-9]+)\.([0-9]+)\.([0-9]+).*/\1 \2 \3/p' CMakeLists.txt)"
expect 1 ""
expect 1 "$major.$minor"
expect 1 "$major.$minor.$patch;EXACT"
expect 0 "$major.$minor.$((patch + 1))"
expect 0 "$major.$((minor + 1))"
[ "$minor" = 0 ] || expect 0 "$major.$((minor - 1))"  # SameMinorVersion: an older minor's program is rebuilt
expect 1 "$major.$minor;COMPONENTS;c;cpp;openvino"
expect 0 "$major.$minor;COMPONENTS;no_such_component"
plugin=0
[ ! -e "$work/prefix/lib/libmedsam_engine_tensorrt.so" ] || plugin=1
expect $plugin "$major.$minor;COMPONENTS;cuda"

# A host that runs no graph loads no OpenVINO.
! readelf -d "$work/prefix/lib/libmedsam_engine.so" | grep -q 'NEEDED.*openvino' || { echo "the library needs OpenVINO" >&2; exit 1; }

cmake -S tests/consumer -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/build" -j "$jobs"
"$work/build/consumer" "$bundle"

export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig"
[ "$(pkg-config --modversion medsam_engine)" = "$major.$minor.$patch" ]
read -r -a flags <<<"$(pkg-config --cflags --libs medsam_engine)"
"${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror examples/c_minimal/main.c "${flags[@]}" -o "$work/c_minimal"
export LD_LIBRARY_PATH="$work/prefix/lib"
printf 'P5\n64 48\n255\n%3072s' '' >"$work/image.pgm"
"$work/c_minimal" "$bundle" "$work/image.pgm" 10 10 40 40 "$work/mask.pgm"
refused=$("$work/c_minimal" "$bundle" "$work/image.pgm" 40 10 10 40 "$work/mask.pgm" 2>&1) && exit 1
echo "a reversed box is refused in C: $refused"
