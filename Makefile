# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Two commands do everything on a fresh Debian/Ubuntu with Python 3.11 or newer: `make demo` and `make test`.
# Each target does what it needs first; what is done already is not done again.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

BIN := .venv/bin
PYTHON := $(BIN)/python
JOBS ?= $(shell nproc)
BUNDLE := build/bundles/litemedsam
STAMPS := build/stamps
# ccache, where there is one, makes a rebuild after `make clean` or in a new clone quick.
ifneq ($(shell command -v ccache 2>/dev/null),)
export CMAKE_CXX_COMPILER_LAUNCHER := ccache
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A stamp is named after the content of what it stands for, so that a deleted file or a checkout counts as a change.
digest = $(shell find $(1) -type f -not -path '*/__pycache__/*' -print0 2>/dev/null | sort -z | \
           xargs -0 sha256sum | sha256sum | cut -c1-16)
PACKAGE_STAMP := $(STAMPS)/package-$(call digest,CMakeLists.txt cmake cpp kernels profiles pyproject.toml build_backend python tools)
EXPORT_DIGEST := $(call digest,tools profiles)
BUNDLE_STAMP := $(STAMPS)/bundle-$(EXPORT_DIGEST)
# The manifest's hash (as sha256sum has it) of the bundle that `make demo` has exported from these very sources into the
# user's data folder.
FETCHED_STAMP := $(STAMPS)/fetched-$(EXPORT_DIGEST)

# Every name of a target that is no file's.
.PHONY: $(shell sed -nE 's/^([a-z][a-z0-9 -]*):.*/\1/p' $(MAKEFILE_LIST))

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

prepare:
	@scripts/setup.sh

setup: | prepare  ## what the tests and the linters need: system packages (with apt, where allowed) and .venv
	@scripts/setup.sh test lint

setup-cpp:
	@scripts/setup.sh cpp

build: $(PACKAGE_STAMP)  ## build the package and install it into .venv

$(PACKAGE_STAMP): | prepare
	@$(PYTHON) scripts/run/step.py build/package.log "build: compiling medsam-engine and installing it into .venv" -- \
	  $(PYTHON) -m pip install --verbose --no-build-isolation --no-deps --force-reinstall \
	  --config-settings=build-dir=build/wheel .
	@mkdir -p $(STAMPS) && rm -f $(STAMPS)/package-* && touch $@

bundle: $(BUNDLE_STAMP)  ## the released LiteMedSAM weights as a bundle for the tests, build/bundles

# What `make demo` has exported from these sources is copied.
$(BUNDLE_STAMP): | $(PACKAGE_STAMP)
	@rm -rf $(BUNDLE) && mkdir -p $(dir $(BUNDLE)) $(STAMPS)
	@if sha256sum --check --status $(FETCHED_STAMP) 2>/dev/null; then \
	  fetched=$$(dirname "$$(cut -c67- $(FETCHED_STAMP))"); cp -r "$$fetched" $(BUNDLE); echo "bundle: copied from $$fetched"; \
	else $(BIN)/medsam-engine fetch litemedsam --onnx --out $(BUNDLE); fi
	@rm -f $(STAMPS)/bundle-* && touch $@

demo: build  ## fetch the model into your data folder, segment a real MR image: demo/overlay.png
	@$(PYTHON) scripts/run/demo.py --out demo/overlay.png --exported $(FETCHED_STAMP)

test: setup build bundle test-cpp stubs test-python  ## unit tests and 2D parity (at most 10 minutes)

test-cpp: | setup-cpp  ## the C++ tests alone: without torch, and without weights what needs them is skipped
	@cmake --preset dev >build/dev-configure.log 2>&1 || { cat build/dev-configure.log; exit 1; }
	@cmake --build --preset dev -j $(JOBS)
	@ctest --preset dev -j $(JOBS)

stubs: | setup build
	@$(PYTHON) -m mypy.stubtest --allowlist scripts/checks/stubtest_allowlist.txt medsam_engine._core

# A file belongs to one worker, so that what it exports is exported once.
test-python: | setup build bundle
	@$(PYTHON) -m pytest -n $(JOBS) --dist loadfile

parity: | setup build bundle  ## the published script's volumes, object by object, and their peak memory
	@$(PYTHON) -m pytest -m slow tests/python/parity

clients: | setup build  ## the server with other releases of nnInteractive's client; needs a package index
	@scripts/run/test_clients.sh $(CLIENTS)

plans: | setup build  ## every family's graphs as TensorRT plans, f32 and f16; needs no GPU
	@scripts/setup.sh cuda || echo "plans: without TensorRT for RTX the tests are skipped"
	@$(PYTHON) -m pytest -q tests/python/tools/gpu/test_rtx_layout.py tests/python/tools/gpu/test_plans.py tests/python/cli/bundle/test_build_plan.py
	@$(PYTHON) -m pytest -m slow -k "not decoder_with_a_mask" tests/python/tools/gpu/test_family_plans.py

# A family that make test does not compile.
smoke-plans: | setup build  ## of plans, the layout of TensorRT's tables and one family (at most 2 minutes)
	@scripts/setup.sh cuda || echo "smoke-plans: without TensorRT for RTX the tests are skipped"
	@$(PYTHON) -m pytest -q tests/python/tools/gpu/test_rtx_layout.py tests/python/tools/gpu/test_plans.py tests/python/cli/bundle/test_build_plan.py
	@$(PYTHON) -m pytest -m slow -k "encoder_and_decoder and swin_litemedsam" tests/python/tools/gpu/test_family_plans.py

# PAGES="README.md docs/guide_2d.md": these alone.
PAGES ?=

walkthrough: | setup  ## every command of README and the guides, word for word, in a clean clone with an empty home; times
	@$(PYTHON) scripts/docs/walkthrough.py $(PAGES)

test-slow: | setup build bundle  ## the tests that take minutes: every family's export
	@$(PYTHON) -m pytest -m slow

# A family that no quick test exports whole.
smoke-slow: | setup build bundle  ## of test-slow, one family from its checkpoint to masks (at most 2 minutes)
	@$(PYTHON) -m pytest -m slow -k "swin_litemedsam-clinical" tests/python/tools/export/test_end_to_end.py

test-all: test test-slow sanitize highway no-openvino fuzz analyze cuda wheel consumer examples plugins docs  ## everything: test, slow tests, sanitizers, fuzzing, CUDA, wheel alone, find_package, examples

sanitize: asan tsan  ## the C++ tests under ASan + UBSan, then under TSan

asan tsan: | setup bundle
	@$(if $(filter asan,$@),scripts/setup.sh asan)
	@preset=$(if $(filter asan,$@),asan-ubsan,tsan); \
	cmake --preset $$preset >/dev/null && cmake --build --preset $$preset -j $(JOBS) && ctest --preset $$preset -j $(JOBS)

# HIGHWAY=FOLDER: the sources of another release instead.
HIGHWAY ?=

highway: | setup  ## the kernels' tests with the release of Highway that wheels are built with
	@scripts/run/test_highway.sh $(JOBS) $(HIGHWAY)

no-openvino: | setup  ## the library built without OpenVINO, and what it says of graphs
	@cmake --preset no-openvino >build/no-openvino.log && cmake --build --preset no-openvino -j $(JOBS) >>build/no-openvino.log
	@ctest --preset no-openvino

arm: | setup-cpp  ## Linux on Arm: a cross build and its C++ tests under qemu (installs both with apt)
	@scripts/setup.sh cpp arm || echo "arm: going on with what is here"
	@scripts/run/test_arm.sh $(JOBS)

# A cold build fits into the time.
smoke-arm: | setup-cpp  ## of arm, the bf16 and f32 products, attention, and the platform room (at most 2 minutes)
	@scripts/setup.sh cpp arm || echo "smoke-arm: going on with what is here"
	@scripts/run/test_arm.sh $(JOBS) test_platform test_kernels_smoke

wasm: | setup build  ## WebAssembly: the npm package build/wasm/package, tested under node beside the native engine (installs emscripten with apt)
	@scripts/setup.sh cpp wasm || echo "wasm: going on with what is here"
	@scripts/run/test_wasm.sh $(JOBS)

windows-platform:  ## the platform room's Windows sources by mingw-w64, and their tests under wine (installs both with apt)
	@scripts/setup.sh cpp windows || echo "windows-platform: going on with what is here"
	@scripts/run/test_windows_platform.sh

windows: | setup build  ## Windows on x86-64: a cross build by zig (100 MB from PyPI), its C++ tests and programs under wine (installs it with apt)
	@scripts/setup.sh cpp windows || echo "windows: going on with what is here"
	@scripts/run/test_windows.sh $(JOBS)

macos-compile: | setup-cpp  ## the library compiled for macOS on Apple's processors, by zig (100 MB from PyPI); nothing runs
	@scripts/run/compile_macos.sh $(JOBS)

# The sources without their code, which takes a third of the time.
smoke-macos: | setup-cpp  ## of macos-compile, every source read, with warnings as errors (at most 3 minutes)
	@scripts/run/compile_macos.sh $(JOBS) read

# Of each target; docs/robustness.md has the longer runs.
FUZZ_SECONDS ?= 8

fuzz: | setup build  ## the libFuzzer targets (clang 16 or newer, installed with apt) and the Python readers' (atheris), FUZZ_SECONDS each
	@scripts/setup.sh fuzz || echo "fuzz: going on without clang"
	@scripts/run/fuzz.sh $(JOBS) $(FUZZ_SECONDS)

# The others run over their corpus and changed copies of it in `make asan`, which needs no build of its own for them.
smoke-fuzz: | setup build  ## of fuzz, the Python readers' targets (at most 2 minutes)
	@scripts/run/fuzz.sh $(JOBS) $(FUZZ_SECONDS) "read_*" "serve_*"

# Of those that read a file; a clang with libFuzzer, and the libraries of 32 bits (installed with apt).
FUZZ_32 := fuzz_manifest fuzz_onnx fuzz_npz fuzz_embedding fuzz_weights fuzz_session_file

fuzz-32: | setup  ## the targets that read files, with the 32-bit addresses that WebAssembly has, FUZZ_SECONDS each
	@scripts/setup.sh fuzz fuzz-32 || echo "fuzz-32: going on with what is here"
	@FUZZ_PRESET=fuzz-32 scripts/run/fuzz.sh $(JOBS) $(FUZZ_SECONDS) $(FUZZ_32)

# Random requests of each operation, beside those of the document's bounds.
EXAMPLES ?= 500

fuzz-api: | setup build  ## requests to /api/ that are made from its own OpenAPI document, EXAMPLES of each operation
	@MEDSAM_API_EXAMPLES=$(EXAMPLES) $(PYTHON) -m pytest -q tests/python/serve/test_openapi.py

# Changed files of each base file. SEED: of an earlier run, to repeat it; else a new one, which failures and the end name.
MUTATIONS ?= 2000
SEED ?=

mutations: | setup build  ## changed tags and headers of sound files, against second readers; MUTATIONS of each base file
	@MEDSAM_MUTATIONS=$(MUTATIONS) MEDSAM_MUTATION_SEED=$(SEED) $(PYTHON) -m pytest -s -q tests/python/io/test_mutated_files.py tests/python/io/dicom/test_mutated_dicom.py

throws: | setup bundle  ## which places that raise an error no C++ test reaches (gcov)
	@cmake --preset dev -B build/throws -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS=--coverage -O0" >/dev/null
	@cmake --build build/throws -j $(JOBS) >/dev/null && ctest --test-dir build/throws -j $(JOBS) --quiet -LE single_threaded
	@$(PYTHON) scripts/checks/throw_coverage.py build/throws

# SOAK="--cores 0.5 --out report.json" (python -m benchmarks.soak --help).
MINUTES ?= 60
SOAK ?=

soak: setup build bundle  ## a mixed load for MINUTES: is memory flat, does anything fail, do answers stay the same
	@PYTHONPATH=. $(PYTHON) -m benchmarks.soak --bundle $(BUNDLE) --minutes $(MINUTES) $(SOAK)

# The answers are compared with a Session's; the smoke takes the tiny model, so that a minute has many of them.
SOAK_BUNDLE ?= $(BUNDLE)

soak-serve: | setup build bundle  ## four clients draw at random on a server for MINUTES: memory, answers, heartbeats
	@PYTHONPATH=. $(PYTHON) -m benchmarks.soak.serve --bundle $(SOAK_BUNDLE) --minutes $(MINUTES)

smoke-serve:  ## a minute of soak-serve
	@$(MAKE) soak-serve MINUTES=0.75 SOAK_BUNDLE=tests/data/tiny_bundle

smoke-soak:  ## a minute of soak
	@$(MAKE) soak MINUTES=1

e2e: | setup build bundle  ## the page in a headless Chromium (installs chromium-driver with apt)
	@scripts/setup.sh e2e || echo "e2e: without a browser the tests are skipped"
	@PYTHONPATH=tests/e2e $(PYTHON) -m pytest -c pyproject.toml -q tests/e2e

animation: | setup build bundle  ## the docs' pictures of the page, made by their tests: docs/images (the static page after `make wasm`)
	@scripts/setup.sh e2e
	@MEDSAM_PICTURES=$(CURDIR)/docs/images PYTHONPATH=tests/e2e $(PYTHON) -m pytest -c pyproject.toml -q \
	  tests/e2e/test_animation.py tests/e2e/test_wasm_picture.py

cuda: | setup  ## the CUDA kernels for every GPU architecture, where there is nvcc; on a GPU, where there is one
	@scripts/setup.sh cuda || echo "cuda: going on without TensorRT for RTX"
	@scripts/run/test_cuda.sh $(JOBS)

cluster: | setup build  ## the cases of a table on Ray, Dask and, where it is installed, SLURM: the answers are those of a local run
	@$(PYTHON) -m pip install --quiet -r <($(PYTHON) scripts/release/requirements.py cluster)
	@$(PYTHON) -m pytest -c pyproject.toml -q -m "slow or not slow" tests/cluster

smoke-cluster: | setup build  ## of `cluster`, what needs no packages but those of the tests (at most 2 minutes)
	@$(PYTHON) -m pytest -c pyproject.toml -q tests/cluster/test_adapters.py

wheel: | setup bundle  ## the wheel, built as a user's pip builds it, in an empty environment without torch
	@scripts/release/test_wheel.sh $(BUNDLE)

# WHEEL_PYTHONS names Pythons of this machine: then no wheel for another one is asked for.
wheels: | setup bundle  ## a wheel for every CPython from 3.10 to 3.13 that is here, each tried in an empty environment, and wheel-arm and wheel-windows; dist/
	@scripts/release/build_wheels.sh $(BUNDLE)
	@[ -n "$${WHEEL_PYTHONS:-}" ] || $(MAKE) wheel-arm wheel-windows

wheel-arm: | setup build  ## the two wheels for Linux on Arm, with OpenVINO and for older systems, tried under qemu (installs it with apt; zig from PyPI); dist/
	@scripts/setup.sh cpp arm || echo "wheel-arm: going on with what is here"
	@scripts/release/build_arm_wheel.sh $(JOBS)

wheel-windows: | setup bundle  ## the wheel for Windows on x86-64 by zig, without OpenVINO, tried in python.org's CPython under wine (installs it with apt); dist/
	@scripts/setup.sh cpp windows || echo "wheel-windows: going on with what is here"
	@scripts/release/build_windows_wheel.sh $(JOBS) $(BUNDLE)

consumer: | setup bundle  ## a C++17 project that finds the installed library with find_package
	@scripts/run/test_consumer.sh $(BUNDLE)

examples: setup build bundle  ## build and run the examples (installs ITK and Qt with apt)
	@scripts/setup.sh examples
	@scripts/run/test_examples.sh $(BUNDLE)

plugins: | setup build  ## our plugins of napari and 3D Slicer, and napari-nninteractive, against napari and slicer-core from PyPI (1.3 GB in build/)
	@scripts/run/test_plugins.sh

docs-cpp: | setup  ## the reference of the C++ and C headers: build/docs-cpp/html (installs doxygen with apt)
	@scripts/setup.sh docs
	@rm -rf build/docs-cpp && mkdir -p build/docs-cpp
	@MEDSAM_ENGINE_VERSION=$$(sed -nE 's/^project\(.* VERSION ([0-9.]+).*/\1/p' CMakeLists.txt) doxygen docs/Doxyfile
	@echo "docs-cpp: every public symbol is documented; see build/docs-cpp/html/index.html"

docs: setup build docs-cpp  ## the documentation site, build/site, without a warning
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict
	@echo "docs: see build/site/index.html; for its search: $(PYTHON) -m http.server --directory build/site"

lint: lint-python lint-cpp  ## formatting, types, clang-tidy, dependency rules

lint-python: | setup
	@$(PYTHON) scripts/checks/check_sources.py
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --quiet --check && echo "ruff: clean"
	@$(MAKE) lint-types

lint-types:
	@$(BIN)/mypy --no-error-summary $(wildcard python/medsam_engine tools/medsam_engine_tools scripts build_backend \
	  benchmarks tests fuzz examples) && echo "mypy: clean"
	@for plugin in "napari/src/medsam_engine_napari plugins/napari/tests" slicer/MedSAMEngine; do \
	  $(BIN)/mypy --no-error-summary plugins/$$plugin || exit 1; done && echo "mypy: clean plugins"
	@$(BIN)/mypy --no-error-summary --python-version 3.10 --disable-error-code no-any-return $(wildcard \
	  python/medsam_engine tools/medsam_engine_tools build_backend) && echo "mypy: clean on Python 3.10, as far as it is shipped"

OWN_CPP = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.cpp' '*.hpp' '*.h' '*.cu' '*.cuh')

lint-cpp: | setup
	@$(BIN)/clang-format --dry-run -Werror $(OWN_CPP) && echo "clang-format: clean"
	@mkdir -p build && cmake --preset tidy >build/tidy-configure.log 2>&1 || { cat build/tidy-configure.log; exit 1; }
	@$(PYTHON) scripts/checks/clang_tidy.py build/tidy

analyze: | setup  ## clang's static analyzer
	@mkdir -p build && cmake --preset tidy >build/tidy-configure.log 2>&1 || { cat build/tidy-configure.log; exit 1; }
	@$(PYTHON) scripts/checks/clang_tidy.py build/tidy --analyzer

format:  ## rewrite the sources as the linters want them
	@$(BIN)/ruff check --quiet --fix; $(BIN)/ruff format --quiet; $(BIN)/clang-format -i $(OWN_CPP)

bench: setup build bundle bench-build  ## kernel and engine benchmarks (see benchmarks/README.md)
	@for program in $$(find build/release -type f -executable -name 'bench_*'); do $$program; done
	@MEDSAM_ENGINE_BUNDLE=$(BUNDLE) $(PYTHON) -m pytest benchmarks --benchmark-enable --benchmark-only

bench-build: | setup
	@cmake --preset release >/dev/null && cmake --build --preset release -j $(JOBS)

# COMPARE="--precision auto --name NAME --quick --skip a:brain ..." (python -m benchmarks.compare --help).
COMPARE ?=

bench-full: setup build bundle bench-build  ## the engine against the published script, ONNX Runtime and OpenVINO; a report
	@$(PYTHON) -m pip install --quiet -r <($(PYTHON) scripts/release/requirements.py bench)
	@PYTHONPATH=. $(PYTHON) -m benchmarks.compare --bundle $(BUNDLE) $(COMPARE)

# BASE=COMMIT: what this tree is compared with; by default origin/main, or the commit before it there. PERF="--threads 4":
# python -m benchmarks.perf --help.
BASE ?=
PERF ?=

perf: setup build bundle  ## this tree's speed beside that of commit BASE; fails where it is below 0.9 of it
	@PYTHONPATH=. $(PYTHON) -m benchmarks.perf --bundle $(BUNDLE) --base "$(BASE)" $(PERF)

clean:  ## remove what was built; .venv and the fetched model stay
	@find build -mindepth 1 -maxdepth 1 -not -name bundles -exec rm -rf {} + 2>/dev/null || true
	@rm -rf dist demo .mypy_cache .ruff_cache .pytest_cache .benchmarks
