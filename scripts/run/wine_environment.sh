# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Sourced in the project's root by what builds for Windows with zig and runs under wine: `wine`, and the folders of both.
# Ends the script with 0, and a line, where there is no wine.
#   source scripts/run/wine_environment.sh NAME WHAT   before the line, and what is then not done
wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null) || {
  echo "$1: not $2, there is no wine64 (Debian: wine64)"
  exit 0
}
export ZIG_GLOBAL_CACHE_DIR=$PWD/build/zig/cache ZIG_LOCAL_CACHE_DIR=$PWD/build/zig/cache
# Without wine's debugger, which would write about a crash where the program itself writes.
export WINEPREFIX=$PWD/build/wine WINEDEBUG=-all DISPLAY= WINEDLLOVERRIDES=winedbg.exe=d
