#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Makes a Debian 12 / Ubuntu 24.04 or newer machine ready to build and test: system packages, then .venv.
# Every step looks first whether it is done, so a second run takes a second or two.
#   MEDSAM_NO_APT=1     never call apt; name what is missing and stop
#   MEDSAM_TORCH_ANY=1  accept torch's CUDA build (several GB) where no index offers the CPU build
#   MEDSAM_NO_CUDA=1    leave TensorRT for RTX out
#   PYTHON=python3.12   the interpreter for .venv
# setup.sh examples     also what examples/ is built with: ITK and Qt 6 (about 0.5 GB)
# setup.sh docs         also doxygen, and MkDocs into .venv
# setup.sh fuzz         also clang with libFuzzer (about 0.6 GB), where there is none
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 2; }

# ---- Python ----------------------------------------------------------------------------------------------------------
# The package runs on 3.10; tools pinned here (hypothesis, scikit-image, SciPy, matplotlib, transformers) begin at 3.11.
find_python() {
  local candidate
  [ -z "${PYTHON:-}" ] || command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON is not there"
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python >= 3.11 found. Install one (sudo apt-get install python3) or name it: PYTHON=/path/to/python make setup"
}
python=$(find_python)

# ---- System packages -------------------------------------------------------------------------------------------------
required=(cmake ninja-build g++ pkg-config nlohmann-json3-dev libhwy-dev libxxhash-dev libdeflate-dev libmbedtls-dev
          libgtest-dev libbenchmark-dev)
for group in "$@"; do
  case $group in
    examples) required+=(libinsighttoolkit5-dev qt6-base-dev zlib1g-dev fonts-dejavu-core) ;;
    docs) required+=(doxygen) ;;
    fuzz) [ -n "$(compgen -c clang++- | grep -E '^clang\+\+-(1[6-9]|2[0-9])$')" ] || required+=(clang-16 libclang-rt-16-dev) ;;
    *) fail "no such group: $group; expected examples, docs or fuzz" ;;
  esac
done
optional=(ccache libopencv-core-dev libopencv-imgproc-dev)  # faster rebuilds; the kernel tests' OpenCV oracle
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then required+=(python3-venv); fi
if ! "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
  required+=(python3-dev)
fi

missing_of() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

install_packages() {  # install_packages PACKAGE... ; false when apt may not be used or fails
  local sudo=()
  [ -z "${MEDSAM_NO_APT:-}" ] || return 1
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    sudo=(sudo -n)
  fi
  say "installing with apt: $*"
  "${sudo[@]}" apt-get update -qq &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if command -v dpkg-query >/dev/null; then
  read -r -a missing <<<"$(missing_of "${required[@]}")" || true
  read -r -a wished <<<"$(missing_of "${optional[@]}")" || true
  if [ "${#missing[@]}" -gt 0 ]; then
    install_packages "${missing[@]}" ||
      fail "system packages are missing and could not be installed from here. Run this once, then try again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  if [ "${#wished[@]}" -gt 0 ] && ! install_packages "${wished[@]}"; then
    say "going on without the optional packages ${wished[*]}"
  fi
else
  say "not a Debian system: make sure that the equivalents of these are installed: ${required[*]}"
fi

at_least() {  # at_least NAME VERSION MINIMUM
  [ "$(printf '%s\n%s\n' "$3" "$2" | sort -V | head -n 1)" = "$3" ] ||
    fail "$1 $2 is too old, $3 or newer is needed (Debian 12, Ubuntu 24.04 and newer have it)"
}
at_least cmake "$(cmake --version | sed -n '1s/.* //p')" 3.24
at_least "${CXX:-g++}" "$("${CXX:-g++}" -dumpfullversion -dumpversion)" 12

# ---- .venv -----------------------------------------------------------------------------------------------------------
venv_python=.venv/bin/python
if ! "$venv_python" -c '' 2>/dev/null; then
  say "creating .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

# done_already STAMP WORD...: true when the stamp holds the hash of the words; mark_done writes it
stamp_of() { printf '%s\n' "$@" | sha256sum | cut -d' ' -f1; }
done_already() { [ "$(cat ".venv/.$1" 2>/dev/null)" = "$(stamp_of "${@:2}")" ]; }
mark_done() { stamp_of "${@:2}" >".venv/.$1"; }
pip_install() { "$venv_python" -m pip install -qq --disable-pip-version-check "$@"; }

wanted=$("$python" scripts/requirements.py dependencies cli dev)
if ! done_already requirements "$wanted"; then
  say "installing Python packages into .venv (about 250 MB): $(tr '\n' ' ' <<<"$wanted")"
  pip_install -r <(printf '%s\n' "$wanted")
  mark_done requirements "$wanted"
fi

# torch: for the export of a checkpoint only; the engine never imports it.
export_tools=$("$python" scripts/requirements.py export)
torch=$(grep '^torch==' <<<"$export_tools")
[ "$(uname -s)" != Linux ] || torch_cpu=$torch+cpu  # elsewhere the plain wheel is the CPU build
if ! done_already export "$export_tools"; then
  say "installing the export tools into .venv: ${torch_cpu:-$torch} (CPU build, about 200 MB; for exporting models only) and" \
    "$(grep -v '^torch==' <<<"$export_tools" | tr '\n' ' ')"
  if ! pip_install "${torch_cpu:-$torch}" 2>/dev/null; then
    say "${torch_cpu:-$torch} is not on the configured package indexes; trying PyTorch's own CPU index"
    if ! pip_install "${torch_cpu:-$torch}" --extra-index-url https://download.pytorch.org/whl/cpu; then
      [ -n "${MEDSAM_TORCH_ANY:-}" ] ||
        fail "no index offers $torch as a CPU build; what PyPI has instead is a CUDA build of several GB.
  To take that one: MEDSAM_TORCH_ANY=1 make setup.  Or install a CPU build into .venv by hand."
      say "installing $torch as PyPI has it: several GB"
      pip_install "$torch"
    fi
  fi
  pip_install -r <(printf '%s\n' "$export_tools" | grep -v '^torch==')
  mark_done export "$export_tools"
fi

# TensorRT for RTX builds plans for GPUs that are not here: its tests need no GPU. Without it they are skipped.
cuda=$("$python" scripts/requirements.py cuda)
if [ -z "${MEDSAM_NO_CUDA:-}" ] && ! done_already cuda "$cuda"; then
  say "installing $cuda into .venv (95 MB; 235 MB of disk), which builds plans for NVIDIA GPUs; MEDSAM_NO_CUDA=1 leaves it out"
  if pip_install "$cuda" 2>/dev/null; then
    mark_done cuda "$cuda"
  else
    say "going on without $cuda, which pip cannot get here: the tests that build plans are skipped"
  fi
fi
if [[ " $* " == *" docs "* ]]; then
  site=$("$python" scripts/requirements.py docs)
  if ! done_already docs "$site"; then
    say "installing the site's tools into .venv: $(tr '\n' ' ' <<<"$site")"
    pip_install -r <(printf '%s\n' "$site")
    mark_done docs "$site"
  fi
fi
say "ready ($("$venv_python" --version), $(cmake --version | head -n 1), $("${CXX:-g++}" --version | head -n 1))"
