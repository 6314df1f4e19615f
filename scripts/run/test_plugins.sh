#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Tests plugins/ in an environment of its own, build/plugins-venv, which sees the packages of .venv, too: napari and what
# it needs stay out of .venv, and the engine is the one that was built last. About 1.3 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/plugins-venv
wanted=$(.venv/bin/python scripts/release/requirements.py plugins)
stamp=$(printf '%s\n' "$wanted" "$(sha256sum plugins/napari/pyproject.toml)" "$PWD" | sha256sum | cut -d' ' -f1)

if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$venv"
  .venv/bin/python -m venv "$venv"
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/project.pth"
  printf '%s\n' "$wanted" >build/requirements-plugins.txt
  if ! .venv/bin/python scripts/run/step.py build/plugins.log "plugins: napari, Qt and slicer-core (about 350 MB to fetch)" -- \
      "$venv/bin/python" -m pip install -r build/requirements-plugins.txt; then
    rm -rf "$venv"
    echo "plugins: SKIPPED, napari or slicer-core could not be installed; build/plugins.log says why"
    exit 0
  fi
  "$venv/bin/python" -m pip install --quiet --no-deps --editable plugins/napari
  printf '%s\n' "$stamp" >"$venv/.stamp"
fi

export QT_QPA_PLATFORM=offscreen
"$venv/bin/python" -m pytest -q -c plugins/napari/pyproject.toml plugins/napari/tests
# The plugin that others wrote for nnInteractive's servers, as it is, against ours.
"$venv/bin/python" -m pytest -q -c plugins/napari/pyproject.toml --rootdir . tests/gui_clients
if "$venv/bin/python" -c 'import slicer' 2>/dev/null; then
  "$venv/bin/python" -m pytest -q -c plugins/slicer/pyproject.toml plugins/slicer/MedSAMEngine/Testing/Python
else
  echo "plugins: 3D Slicer's tests SKIPPED, slicer-core has no wheel for $("$venv/bin/python" --version)"
fi
