#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# The static page as one folder, which any server of files can serve: the viewer of `medsam-engine serve`, a worker with the
# engine in the place of the server, and the npm package. A bundle belongs beside them, as bundle/.
#   assemble_page.sh OUT   after `make wasm`, which makes build/wasm/package and build/wasm/npm
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1 npm=$PWD/build/wasm/npm/node_modules
rm -rf "$out" && mkdir -p "$out"
cp python/medsam_engine/serve/page/* "$out/"
rm "$out/api.js"
cp wasm/page/*.js "$out/"
cp -r build/wasm/package "$out/package"
# The page and its worker load what lies beside them, and nothing from elsewhere: what is opened cannot leave the machine.
# Addresses of blobs are the page's own (local_api.js).
policy="default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' blob:"
sed -i "s|<meta charset=\"utf-8\">|&\n<meta http-equiv=\"Content-Security-Policy\" content=\"$policy\">|" "$out/index.html"
# The package stays beside the worker: it finds its .wasm by its own address.
NODE_PATH=$npm "$npm/.bin/esbuild" wasm/page/worker/main.js --bundle --format=esm --target=es2022 \
  --external:./package/index.js --legal-comments=eof --log-level=warning --outfile="$out/worker.js"
