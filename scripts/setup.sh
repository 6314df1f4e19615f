#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Makes a Debian 12 / Ubuntu 24.04 or newer machine ready to build the package and to export models (`make demo`): system
# packages, then .venv. Words add to it.
# Every step looks first whether it is done, so a second run takes a second or two.
#   MEDSAM_NO_APT=1     never call apt; name what is missing and stop
#   MEDSAM_TORCH_ANY=1  accept torch's CUDA build (several GB) where no index offers the CPU build
#   PYTHON=python3.12   the interpreter for .venv
# setup.sh cpp          what the C++ tests need and no more: neither torch nor what Python's tests need
# setup.sh test         also what the tests need: GoogleTest, Google Benchmark, OpenCV's headers, pytest and others
# setup.sh lint         also the linters
# setup.sh cuda         also TensorRT for RTX, for plans of GPUs (about 95 MB)
# setup.sh examples     also what examples/ is built with: ITK and Qt 6 (about 0.5 GB)
# setup.sh docs         also doxygen, and MkDocs into .venv
# setup.sh e2e          also Chromium, its driver and selenium, for the tests of the page
# setup.sh arm          also the compiler for Linux on Arm, and qemu, in which its programs run (about 0.3 GB)
# setup.sh windows      also the compiler for Windows, and wine (about 1.3 GB)
# setup.sh wasm         also the compiler for WebAssembly, and node (about 0.6 GB)
# setup.sh asan         also a header of clang's, for four of the fuzz targets
# setup.sh fuzz         also clang with libFuzzer (about 0.6 GB), where there is none
# setup.sh fuzz fuzz-32 also what clang needs for programs with 32-bit addresses
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

# step TITLE COMMAND...: with a line of progress every few seconds, and the time that it took at the end
step() { "$python" scripts/run/step.py build/setup.log "setup: $1" -- "${@:2}"; }

# ---- System packages -------------------------------------------------------------------------------------------------
required=(cmake ninja-build g++ pkg-config nlohmann-json3-dev libhwy-dev libxxhash-dev libdeflate-dev libmbedtls-dev)
optional=()
for group in "$@"; do
  case $group in
    test | cpp)
      required+=(libgtest-dev libbenchmark-dev)
      optional+=(ccache libopencv-core-dev libopencv-imgproc-dev)  # faster rebuilds; the kernel tests' oracle
      if [ "$group" = test ]; then optional+=(orthanc orthanc-dicomweb); fi  # a PACS, which the tests start themselves
      ;;
    lint | cuda) ;;
    examples) required+=(libinsighttoolkit5-dev qt6-base-dev zlib1g-dev fonts-dejavu-core) ;;
    docs) required+=(doxygen) ;;
    e2e) required+=(chromium chromium-driver) ;;
    arm) required+=(g++-aarch64-linux-gnu qemu-user-static) ;;
    windows) required+=(g++-mingw-w64-x86-64-posix wine wine64) ;;
    wasm)
      required+=(emscripten)
      command -v node >/dev/null || required+=(nodejs)
      command -v npm >/dev/null || required+=(npm)
      ;;
    fuzz) [ -n "$(compgen -c clang++- | grep -E '^clang\+\+-(1[6-9]|2[0-9])$')" ] || required+=(clang-16 libclang-rt-16-dev) ;;
    asan) optional+=(libclang-rt-16-dev) ;;  # the header of four fuzz targets
    # Not g++-multilib, which Debian cannot have beside a cross compiler and would remove that of `arm` for.
    fuzz-32) required+=(libc6-dev-i386 "lib32stdc++-$(g++ -dumpversion | cut -d. -f1)-dev") ;;
    *) fail "no such group: $group; expected cpp, test, lint, cuda, examples, docs, e2e, asan, fuzz, fuzz-32, arm, wasm or windows" ;;
  esac
done
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
  (
    # A package's service is neither started now nor at the next boot.
    policy=/usr/sbin/policy-rc.d
    if [[ " $* " == *" orthanc "* ]] && [ ! -e "$policy" ]; then
      trap '"${sudo[@]}" rm -f "$policy"' EXIT
      printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null && "${sudo[@]}" chmod 755 "$policy" || exit 1
    fi
    step "apt-get update" "${sudo[@]}" apt-get update || exit 1
    step "system packages" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends --no-remove "$@" || exit 1
    if [[ " $* " == *" orthanc "* ]] && command -v systemctl >/dev/null; then
      "${sudo[@]}" systemctl --quiet disable orthanc || say "the service orthanc starts at the next boot"
    fi
  )
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
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

# done_already STAMP WORD...: true when the stamp holds the hash of the words; mark_done writes it
stamp_of() { printf '%s\n' "$@" | sha256sum | cut -d' ' -f1; }
done_already() { [ "$(cat ".venv/.$1" 2>/dev/null)" = "$(stamp_of "${@:2}")" ]; }
mark_done() { stamp_of "${@:2}" >".venv/.$1"; }

pip_step() { step "$1" "$venv_python" -m pip install --disable-pip-version-check "${@:2}"; }  # pip_step TITLE ARGUMENT...

# install_set STAMP SIZE SET...: sets of pyproject.toml into .venv, unless the stamp says that they are there
install_set() {
  local stamp=$1 size=$2 wanted
  wanted=$("$python" scripts/release/requirements.py "${@:3}")
  done_already "$stamp" "$wanted" && return
  printf '%s\n' "$wanted" >"build/requirements-$stamp.txt"
  pip_step "Python packages for $stamp ($size)" -r "build/requirements-$stamp.txt" || return
  mark_done "$stamp" "$wanted"
}

mkdir -p build
# The extra `openvino` too, since building the plugin takes it everywhere.
install_set running "about 200 MB" dependencies openvino build

ready() {
  say "ready in $SECONDS s ($("$venv_python" --version), $(cmake --version | head -n 1), $("${CXX:-g++}" --version | head -n 1))"
}
case "$*" in cpp | "cpp arm" | "cpp windows" | "cpp wasm") ready; exit ;; esac

# torch: for the export of a checkpoint only; the engine never imports it.
export_tools=$("$python" scripts/release/requirements.py export)
if ! done_already export "$export_tools"; then
  torch=$(grep '^torch==' <<<"$export_tools")
  # The CPU build and its index, where the error messages have them from.
  read -r torch_cpu index index_url <<<"$("$python" -c 'import runpy
names = runpy.run_path("python/medsam_engine/base/packages.py")
print(names["TORCH"], names["TORCH_INDEX"])')"
  title="torch, to export models (CPU build, about 200 MB)"
  if ! pip_step "$title" "$torch_cpu" 2>/dev/null; then
    say "$torch_cpu is not on the configured package indexes; trying PyTorch's own CPU index"
    if ! pip_step "$title" "$torch_cpu" "$index" "$index_url"; then
      [ -n "${MEDSAM_TORCH_ANY:-}" ] ||
        fail "no index offers $torch as a CPU build; what PyPI has instead is a CUDA build of several GB.
  To take that one: MEDSAM_TORCH_ANY=1 make setup.  Or install a CPU build into .venv by hand."
      pip_step "torch as PyPI has it (several GB)" "$torch"
    fi
  fi
  grep -v '^torch==' <<<"$export_tools" >build/requirements-export.txt
  pip_step "the other export tools (about 30 MB)" -r build/requirements-export.txt
  mark_done export "$export_tools"
fi

for group in "$@"; do
  case $group in
    test) install_set tests "about 200 MB" test wheel ;;
    lint) install_set linting "about 100 MB" lint ;;
    docs) install_set site "about 30 MB" docs ;;
    e2e) install_set browser "about 10 MB" e2e ;;
    # Builds plans for GPUs that are not here, and needs none.
    cuda) install_set cuda "TensorRT for RTX, 95 MB; 235 MB of disk" cuda || exit 3 ;;
  esac
done
ready
