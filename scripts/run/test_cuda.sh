#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds the CUDA kernels for every architecture with warnings as errors, runs what nvcc made of them (PTX) on the CPU, and
# runs them on the GPU where there is one. Where TensorRT's headers are ($TENSORRT_ROOT/include), the CUDA plugin is built,
# warnings as errors, and tested as far as this machine goes. Skips, saying why, without nvcc. Usage: test_cuda.sh [JOBS]
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=${1:-$(nproc)}

if [ -z "${CUDAToolkit_ROOT:-}" ] && ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  echo "cuda: skipped, no nvcc on PATH nor in /usr/local/cuda; install the CUDA toolkit (12.8 or newer) or set CUDAToolkit_ROOT"
  exit 0
fi
mkdir -p build
cmake --preset cuda >build/cuda-configure.log 2>&1 || { cat build/cuda-configure.log; exit 1; }
grep 'CUDA kernels:' build/cuda-configure.log
cmake --build --preset cuda -j "$jobs" --target medsam_kernels >build/cuda-build.log 2>&1 || { cat build/cuda-build.log; exit 1; }
start=$SECONDS
cmake --build --preset cuda -j "$jobs" --target medsam_cuda_kernels
echo "cuda: nvcc took $((SECONDS - start)) s for all architectures"
cmake --build --preset cuda -j "$jobs" --target test_kernels_cuda test_kernels_cuda_ptx
grep 'CUDA plugin:' build/cuda-configure.log
if grep -q 'CUDA plugin: built' build/cuda-configure.log; then
  cmake --build --preset cuda -j "$jobs" --target medsam_engine_tensorrt stand_in_plugin test_openvino test_plan
fi
build/cuda/tests/cpp/kernels/test_kernels_cuda --gtest_filter=None | grep '^skipped' || true  # ctest hides the reason
ctest --preset cuda -j "$jobs"
