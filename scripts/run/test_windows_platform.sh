#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The platform room's Windows sources: compiled by mingw-w64, warnings as errors, and their tests run under wine where
# there is wine. Wine is not Windows: file systems, rights and antivirus programs there are another matter.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/windows-platform compiler=${MINGW_CXX:-x86_64-w64-mingw32-g++-posix}
if ! command -v "$compiler" >/dev/null; then
  echo "windows-platform: not compiled, there is no $compiler (Debian: g++-mingw-w64-x86-64-posix)"
  exit 0
fi
mkdir -p "$out"
gtest=/usr/src/googletest/googletest  # of libgtest-dev
# 0x0A00: Windows 10, the oldest that Microsoft serves. -Wa,-mbig-obj: googletest has more sections than a plain object.
options=(-std=c++20 -O1 -D_WIN32_WINNT=0x0A00 -DUNICODE -D_UNICODE -Wa,-mbig-obj)
[ -f "$out/gtest.o" ] || "$compiler" "${options[@]}" -I"$gtest" -I"$gtest/include" -c "$gtest/src/gtest-all.cc" -o "$out/gtest.o"
objects=("$out/gtest.o")
for source in cpp/src/platform/*_windows.cpp tests/cpp/platform/*.cpp; do
  object=$out/$(basename "$source" .cpp).o
  ${CMAKE_CXX_COMPILER_LAUNCHER:-} "$compiler" "${options[@]}" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror \
    -isystem "$gtest/include" -Icpp/src -Itests/cpp -c "$source" -o "$object"
  objects+=("$object")
done
"$compiler" -static "${objects[@]}" -lbcrypt -o "$out/test_platform.exe"
echo "windows-platform: $(ls cpp/src/platform/*_windows.cpp | wc -l) sources compiled by $("$compiler" --version | head -n 1)"
wine=$(command -v wine64 wine /usr/lib/wine/wine64 2>/dev/null | head -n 1) || true
if [ -z "$wine" ]; then
  echo "windows-platform: the tests were not run, there is no wine (Debian: wine64)"
  exit 0
fi
# Without wine's debugger, which would write about a crash where the program itself writes.
export WINEPREFIX=$PWD/$out/wine WINEDEBUG=-all DISPLAY= WINEDLLOVERRIDES=winedbg.exe=d
"$wine" "$out/test_platform.exe" --gtest_brief=1 --gtest_output="xml:$out/tests.xml"
echo "windows-platform: run under $("$wine" --version)"
