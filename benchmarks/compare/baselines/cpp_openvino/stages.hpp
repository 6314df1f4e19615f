// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include "model.hpp"
#include "npz/case.hpp"

namespace medsam::baseline {

/// Times `encode`, `prompt` and `batch` on the case's image, one per line of standard input, until it ends: the
/// protocol of benchmarks/compare/baselines/stages.py.
void serve_stages(Model& model, const npz::Case& content);

}  // namespace medsam::baseline
