#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Windows on x86-64: the library without OpenVINO, its programs and its C++ tests by zig, run under wine.
#   test_windows.sh JOBS [PROGRAM[:FILTER]...]   the test programs that are built and run; all of them by default
# Wine is not Windows: its file system is Linux's, and it asks nobody for a right.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 out=build/windows python=.venv/bin/python
shift
all=(test_platform test_kernels test_kernels_cuda_host test_core test_npz test_session test_native test_on_demand test_faults)
source scripts/run/wine_environment.sh windows tested
scripts/run/configure_zig.sh windows || exit $(($? == 3 ? 0 : 1))
programs=("$@")
[ $# -gt 0 ] || programs=("${all[@]}")
begin=$SECONDS
cmake --build "$out" -j "$jobs" --target medsam_engine medsam-npz medsam-trial "${programs[@]%%:*}" \
  >build/windows-build.log || { tail -n 40 build/windows-build.log; exit 1; }
built=$((SECONDS - begin)) begin=$SECONDS failed=0
"$python" scripts/checks/check_symbols.py "$out/cpp/medsam_engine.dll" || failed=1
"$python" scripts/run/check_windows_programs.py "$out" "$wine" build/zig/ziglang/zig || failed=1
reports=()
for program in "${programs[@]}"; do
  name=${program%%:*} filter=
  [ "$program" = "$name" ] || filter=${program#*:}
  report=$out/$name.xml
  rm -f "$report"
  "$wine" "$(find "$out/tests" -type f -name "$name.exe")" --gtest_brief=1 --gtest_filter="${filter:-*}" \
    --gtest_output="xml:$report" || failed=1
  reports+=("$report")
done
echo "windows: built in $built s, run in $((SECONDS - begin)) s"
"$python" scripts/run/count_tests.py "windows, $("$wine" --version)" "${reports[@]}" || failed=1
exit $failed
