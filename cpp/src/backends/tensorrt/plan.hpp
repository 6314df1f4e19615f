// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Plans: what TensorRT compiles a graph to. Kept in the cache with a fingerprint of everything they depend on; one that
// is torn, changed, or of another fingerprint is refused and built again. Built without a device where TensorRT can.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "backends/tensorrt/library.hpp"

namespace medsam::backends::tensorrt {

/// What a plan is for: "sm_89", and the library that made it.
struct PlanTarget {
  std::string library;
  std::string device;
};

enum class Extreme : std::uint8_t { least, common, most };

/// A dimension of a plan's shapes; of a fixed one itself.
std::int64_t extreme(const Shape& shape, std::size_t dimension, Extreme which);

/// The shape of an input in this compilation: the caller's where it fixes one.
const Shape& asked_shape(const ModelFile& model, const CompileOptions& options, std::size_t input);

/// The text that names all a plan depends on: docs/gpu.md, "Plans", is the contract with
/// medsam_engine_tools/gpu/plans.py.
std::string plan_fingerprint(const ModelFile& model, const CompileOptions& options, const PlanTarget& target);

/// What a report of a build begins with.
std::string building(const ModelFile& model, const std::string& target);

/// What is kept in the cache under a fingerprint: "plan", "kernels" or "timings". Empty where there is none, or where
/// it is torn, changed, or of another fingerprint.
std::string read_kept(const CacheFolder& cache, const std::string& fingerprint, const std::string& kind);

void write_kept(const CacheFolder& cache, const std::string& fingerprint, const std::string& kind, const void* data,
                std::size_t bytes);

/// The plan of that fingerprint, or nothing.
std::vector<char> read_plan(const CacheFolder& cache, const std::string& fingerprint);

void write_plan(const CacheFolder& cache, const std::string& fingerprint, const void* plan, std::size_t bytes);

/// Parses the verified graph, checks it against the manifest and compiles it; `options.report` hears how far that is.
/// BackendError with TensorRT's words; ModelError when the graph is not the manifest's; Unsupported for a precision
/// that the graph is not of, or a target that TensorRT for RTX does not build for. TensorRT itself builds for the
/// device at hand.
std::vector<char> build_plan(const Library& library, const ModelSource& source, const CompileOptions& options,
                             const CacheFolder& cache, const std::string& target);

}  // namespace medsam::backends::tensorrt
