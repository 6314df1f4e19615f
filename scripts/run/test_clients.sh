#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The conformance tests of `medsam-engine serve` with other releases of the official client (make clients): each in a
# virtual environment over .venv, because two releases cannot be installed side by side.
# Usage: test_clients.sh [VERSION...]; without one, the oldest that the server answers, and "newest" for the newest on the index.
set -euo pipefail
cd "$(dirname "$0")/../.."

versions=("$@")
[ $# -gt 0 ] || versions=(2.5.1 newest)
base=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for version in "${versions[@]}"; do
  room=build/clients/$version
  rm -rf "$room"
  .venv/bin/python -m venv --without-pip "$room"
  python=$room/bin/python
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  requirement=nninteractive-client
  [ "$version" = newest ] || requirement+="==$version"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$site" "$requirement"
  echo "$base" >"$site/project.pth"  # after the room's own packages
  installed=$("$python" -c 'import importlib.metadata as m; print(m.version("nninteractive-client"))')
  echo "clients: nninteractive-client $installed"
  MEDSAM_CLIENT_VERSION=$installed "$python" -m pytest -q tests/python/serve/test_conformance*.py tests/python/serve/test_load.py
done
