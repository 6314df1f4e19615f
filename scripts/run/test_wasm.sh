#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The library in WebAssembly and its npm package: its two modules, with one thread and with several, are built by Debian's
# emscripten, tested under node, and packed.
#   test_wasm.sh JOBS [NODE-TEST-ARGUMENT...]   e.g. --test-name-pattern refused
# build/wasm/package is the package; masks are compared with those of the installed native package. build/wasm/page is the
# static page over it (make e2e tests it).
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 out=build/wasm python=.venv/bin/python
shift
for tool in em-config node npm; do
  command -v "$tool" >/dev/null && continue
  echo "wasm: not tested, there is no $tool (Debian: emscripten nodejs npm)"
  exit 0
done
begin=$SECONDS
for preset in wasm wasm-threads; do
  scripts/run/configure_cross.sh "$preset" || exit $(($? == 3 ? 0 : 1))
  cmake --build --preset "$preset" -j "$jobs" >"build/$preset-build.log" || { tail -n 40 "build/$preset-build.log"; exit 1; }
done
built=$((SECONDS - begin)) begin=$SECONDS

package=$PWD/$out/package
rm -rf "$package" && mkdir -p "$package"
cp wasm/package/* LICENSE "$out"/wasm/medsam_engine.{js,wasm} \
  build/wasm-threads/wasm/medsam_engine_threads.{js,wasm,worker.js} "$package/"
version=$(sed -nE 's/^project\(.* VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
sed -i "s/\"version\": \"[^\"]*\"/\"version\": \"$version\"/" "$package/package.json"

export MEDSAM_WASM_PACKAGE=$package
bundle=$PWD/build/bundles/litemedsam-native data=../shared/data/open golden=$PWD/$out/golden
[ -e "$bundle/manifest.json" ] || .venv/bin/medsam-engine fetch litemedsam --out "$bundle" >build/wasm-fetch.log 2>&1 ||
  echo "wasm: without weights, what needs them is skipped (build/wasm-fetch.log)"
if [ -e "$bundle/manifest.json" ]; then
  export MEDSAM_WASM_BUNDLE=$bundle
  if [ -d "$data" ]; then
    "$python" wasm/tests/golden.py "$bundle" "$data" "$golden"
    export MEDSAM_WASM_GOLDEN=$golden
  fi
fi
for threads in 1 2; do
  MEDSAM_WASM_THREADS=$threads node --test --test-reporter spec "$@" wasm/tests/*.test.js
done
(cd "$package" && npm pack --silent --pack-destination .. >/dev/null)
npm=$out/npm
mkdir -p "$npm" && cp wasm/page/package.json wasm/page/package-lock.json "$npm/"
if (cd "$npm" && npm ci --silent --no-audit --no-fund --ignore-scripts) >build/wasm-npm.log 2>&1; then
  scripts/run/assemble_page.sh "$out/page"
else
  echo "wasm: without the static page, whose packages npm cannot install here (build/wasm-npm.log)"
fi
echo "wasm: node $(node --version), built in $built s, run in $((SECONDS - begin)) s;" \
  "medsam_engine.wasm has $(stat -c %s "$package/medsam_engine.wasm") bytes, packed $(stat -c %s "$out/medsam-engine-$version.tgz")"
