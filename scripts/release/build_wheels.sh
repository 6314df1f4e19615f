#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# A wheel for every CPython from 3.10 to 3.13 that is here (on PATH, or pyenv's), each tried in an empty environment of
# its own Python: the smoke test, the README's quick start word for word, the C++ and C examples against it alone.
# The wheels are in dist/, and the last lines say their tags. Usage: build_wheels.sh BUNDLE
#   WHEEL_PYTHONS="3.11 /path/to/python"   these instead of all; fails where one is not there
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/release/wheel_parts.sh
bundle=$(realpath "$1")
work=build/wheels
rm -rf "$work" && mkdir -p "$work" dist

interpreter() {  # interpreter VERSION|PATH: the program, where it runs
  local candidate
  for candidate in "$1" "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import venv' 2>/dev/null; then command -v "$candidate"; return; fi
  done
  return 1
}

make_sdist "$work"

built=0
for version in ${WHEEL_PYTHONS:-3.10 3.11 3.12 3.13}; do
  if ! python=$(interpreter "$version"); then
    [ -z "${WHEEL_PYTHONS:-}" ] || { echo "wheels: no Python $version here, named by WHEEL_PYTHONS; install it or name its program" >&2; exit 1; }
    echo "wheels: no Python $version here, left out"
    continue
  fi
  own=$work/$(basename "$version")
  mkdir "$own"
  echo "wheels: $("$python" --version) at $python"
  # A pip of our own: an old interpreter's may know fewer tags.
  "$python" -m venv "$own/build"
  "$own/build/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
  build_wheel "$own/build/bin/python" "$work/source" "$own/raw"
  repair_wheel "$own"/raw/*.whl "$own/dist"
  wheel=$(realpath "$own"/dist/*.whl)
  .venv/bin/python scripts/release/check_wheel.py "$wheel" | tee -a "$work/report"
  install_wheel "$python" "$own/venv" "$wheel"
  smoke_test "$own/venv" "$bundle"
  build_examples "$own/venv" "$bundle" "$own"
  "$own/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel[eval]"
  outside "$(realpath -s "$own/venv/bin/python")" "$PWD/tests/wheel/quick_start.py" "$bundle"
  cp "$wheel" dist/
  built=$((built + 1))
done
[ "$built" -gt 0 ] || { echo "wheels: no CPython from 3.10 to 3.13 found; install one, or name it: WHEEL_PYTHONS=/path/to/python" >&2; exit 1; }
printf '\nwheels: %d, in dist/\n' "$built"
cat "$work/report"
