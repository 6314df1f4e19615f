#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Configures a preset whose compiler is zig, which is installed into build/zig from PyPI. Ends as configure_cross.sh does; with 3
# also where zig cannot be installed.
#   configure_zig.sh NAME [CMAKE-OPTION...]
set -uo pipefail
cd "$(dirname "$0")/../.."
name=$1 zig=$PWD/build/zig
shift
mkdir -p build
if [ ! -e "$zig/ziglang/zig" ]; then
  .venv/bin/python scripts/release/requirements.py zig |
    xargs .venv/bin/python -m pip install --quiet --no-deps --target "$zig" || {
    echo "$name: left out, zig could not be installed"
    exit 3
  }
fi
printf '#!/bin/sh\nexec "%s" ar "$@"\n' "$zig/ziglang/zig" >"$zig/ar"
chmod +x "$zig/ar" "$zig/ziglang/zig"
exec scripts/run/configure_cross.sh "$name" -DMEDSAM_ENGINE_ZIG="$zig/ziglang/zig" -DCMAKE_AR="$zig/ar" "$@"
