#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Configures a preset that builds all libraries from their sources. Ends with 3, and a line, where these cannot be
# downloaded; with 1, and CMake's output, where it fails otherwise.
#   configure_cross.sh NAME [CMAKE-OPTION...]   NAME: of the preset, and before the line
set -uo pipefail
cd "$(dirname "$0")/../.."
name=$1 log=build/$1-configure.log
shift
mkdir -p build
cmake --preset "$name" "$@" >"$log" 2>&1 && exit 0
if grep -qE "(Failed to download|download of .* failed|Each download failed)" "$log"; then
  echo "$name: left out, the sources of the libraries cannot be downloaded here"
  exit 3
fi
cat "$log"
exit 1
