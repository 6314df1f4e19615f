#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Linux on Arm: the library without OpenVINO by Debian's cross compiler, and its C++ tests under qemu in user mode.
#   test_arm.sh JOBS [zig] [PROGRAM[:FILTER]...]   the test programs that are built and run; all of them by default
#     zig: by zig for glibc 2.28, as the wheel for older systems is
# qemu computes each float in software: it tells what is right, nothing of how fast.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 preset=arm configure=configure_cross.sh python=.venv/bin/python
shift
if [ "${1:-}" = zig ]; then
  preset=arm-glibc-2.28 configure=configure_zig.sh
  export ZIG_GLOBAL_CACHE_DIR=$PWD/build/zig/cache ZIG_LOCAL_CACHE_DIR=$PWD/build/zig/cache
  shift
fi
out=build/$preset
all=(test_platform test_kernels test_kernels_cuda_host test_core test_npz test_session test_native test_on_demand test_faults)
for tool in aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v "$tool" >/dev/null && continue
  echo "arm: not tested, there is no $tool (Debian: g++-aarch64-linux-gnu qemu-user-static)"
  exit 0
done
"scripts/run/$configure" "$preset" || exit $(($? == 3 ? 0 : 1))
programs=("$@")
[ $# -gt 0 ] || programs=("${all[@]}")
begin=$SECONDS
cmake --build "$out" -j "$jobs" --target "${programs[@]%%:*}" >"$out-build.log" || { tail -n 40 "$out-build.log"; exit 1; }
built=$((SECONDS - begin)) begin=$SECONDS failed=0
# These start a program of their own, which the kernel of this machine cannot; the last one sets a limit of memory, which
# qemu keeps from the program.
apart=Programs.*:ErrorPlaces.ATrialThatCannotBeStarted:Trial.AProgramThatCannotBeStartedIsAnError
apart+=:ThreadPoolDeathTest.GoesOnWithFewerWhereTheSystemStartsNoMore
reports=()
for program in "${programs[@]}"; do
  name=${program%%:*} filter=
  [ "$program" = "$name" ] || filter=${program#*:}
  report=$PWD/$out/$name.xml
  rm -f "$report"
  qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu max "$(find "$out/tests" -type f -name "$name")" --gtest_brief=1 \
    --gtest_filter="${filter:-*}-$apart" --gtest_output="xml:$report" || failed=1
  reports+=("$report")
done
"$python" scripts/run/count_tests.py "$preset, qemu $(qemu-aarch64-static --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')" "${reports[@]}" || failed=1
echo "$preset: built in $built s, run in $((SECONDS - begin)) s; left out: $apart"
exit $failed
