// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whether a certificate holds here: docs/bundle.md, "Certificates". A refusal is the reason why not, "" where there is
// none.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "bundle/bundle.hpp"
#include "bundle/certificate.hpp"

namespace medsam {

inline constexpr const char* kNotNative = "this processor does not compute in it";
inline constexpr const char* kNoGraphs = "this bundle has native weights alone, and no ONNX graphs to compute it from";

/// A variant, and who runs it here.
struct StageRun {
  const Variant* variant = nullptr;
  const backends::Backend* backend = nullptr;
  std::string identity;  // the variant's, as a certificate that was measured here would have it
  bool native = false;   // whether the processor computes in its format

  [[nodiscard]] std::string name() const { return variant->arithmetic->name; }
};

/// The backends of an engine: `graph` runs graphs on the device, and `native` this library's kernels; null: none does.
/// In a bundle without graphs, both are the same.
struct Backends {
  const backends::Backend& graph;
  const backends::Backend* native = nullptr;
};

/// What a precision is chosen for and from. It must not outlive the bundle and the backends.
struct Situation {
  std::vector<Certificate> certificates;
  std::string model_hash, backend, device;
  std::vector<StageRun> runs;  // at most one per stage and name; for each stage f32, or f32_fused without graphs
  bool trust_bundle = false;   // whether the bundle's own word counts
  bool graphs = true;          // Bundle::graphs

  /// The one of that name; null where there is nothing to run.
  [[nodiscard]] const StageRun* find(Stage stage, std::string_view name) const;
};

/// The variants of a bundle that a backend takes.
std::vector<StageRun> stage_runs(const Bundle& bundle, const Backends& backends);

/// Why a certificate is not valid here: it was measured on something else, it does not show that the masks are kept,
/// the processor does not compute in it, or it is only the bundle's own word.
std::string refusal(const Certificate& certificate, const Situation& here);

}  // namespace medsam
