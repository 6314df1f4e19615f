// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The ways in which a bundle lets its stages be computed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "bundle/arithmetic.hpp"
#include "bundle/model_file.hpp"

namespace medsam {

enum class Runner : std::uint8_t {
  graph,  // the inference library of the engine's device
  native  // this library's own kernels
};

/// One way in which a bundle lets a stage be computed: docs/bundle.md has the manifest's fields that they come from.
struct Variant {
  Stage stage = Stage::encoder;
  const Arithmetic* arithmetic = nullptr;  // never null in a bundle
  Runner runner = Runner::graph;
  std::string format;  // what the runner is asked to compute in (CompileOptions::precision)
  /// true: the graphs themselves are of this format; false: the backend is asked to compute the exact graphs in it.
  bool typed = false;
  bool needs_trial = false;  // whether it first runs in a process of its own (precision/trial.hpp)
  std::string identity;      // hash of `files`, by which certificates name them; "" for the exact graphs
  /// The models to run, by ModelFile::name; null: the exact graphs.
  std::shared_ptr<const std::map<std::string, ModelFile>> files = nullptr;

  /// The model to run in place of `exact`, a model of this stage. Valid as long as this variant and `exact`.
  // NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter): the bundle's own, which lives as long as the engine
  [[nodiscard]] const ModelFile& file_of(const ModelFile& exact) const { return files ? files->at(exact.name) : exact; }
};

}  // namespace medsam
