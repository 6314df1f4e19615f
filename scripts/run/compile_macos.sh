#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# macOS on Apple's processors: every source of the library without OpenVINO, of its kernels and of its programs,
# compiled by zig with warnings as errors. Nothing is linked and nothing runs: that takes Apple's SDK and a Mac.
#   compile_macos.sh JOBS [read]   read: types and warnings alone, without code, in a third of the time
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 what=${2:-compiled} out=build/macos zig=$PWD/build/zig
export ZIG_GLOBAL_CACHE_DIR=$zig/cache ZIG_LOCAL_CACHE_DIR=$zig/cache
options=()
if [ "$what" = read ]; then
  out=build/macos-read
  mkdir -p "$out"
  printf '#!/bin/sh\nexec "$@" -fsyntax-only -Wno-unused-command-line-argument\n' >"$out/only"
  chmod +x "$out/only"
  options=(-B "$out" -DCMAKE_C_COMPILER_LAUNCHER="$PWD/$out/only" -DCMAKE_CXX_COMPILER_LAUNCHER="$PWD/$out/only")
fi
scripts/run/configure_zig.sh macos ${options[@]+"${options[@]}"} || exit $(($? == 3 ? 0 : 1))
# The objects of all our own targets; what links them is left out.
mapfile -t objects < <(ninja -C "$out" -t targets all | sed -n 's/^\(\(cpp\|kernels\)\/.*\.o\): .*/\1/p')
[ ${#objects[@]} -gt 0 ] || { echo "macos: no objects"; exit 1; }
begin=$SECONDS
ninja -C "$out" -j "$jobs" "${objects[@]}" >build/macos-build.log || { tail -n 40 build/macos-build.log; exit 1; }
echo "macos: ${#objects[@]} sources $what by zig $("$zig/ziglang/zig" version) for arm64, macOS 13, in $((SECONDS - begin)) s"
