// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What an ImageEmbedding holds.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.hpp"
#include "geometry.hpp"
#include "medsam/embedding.hpp"

namespace medsam::detail {

struct EmbeddingData {
  ImageGeometry geometry;
  std::vector<backends::TensorPtr> outputs;  // the encoder's, in the manifest's order; [0] is the image embedding
  std::string fingerprint;
};

}  // namespace medsam::detail
