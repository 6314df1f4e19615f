// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A network: its passes in the order in which they run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/native/block.hpp"
#include "backends/native/pass.hpp"

namespace medsam::backends::native {

struct Network {
  std::vector<std::unique_ptr<const Pass>> passes;
  std::vector<std::int64_t> input_shape, output_shape;  // of one image, f32

  /// The sum of the weights of all passes, and the largest of their other needs.
  [[nodiscard]] Footprint footprint() const;
};

/// Memory for one run at a time.
class Workspace {
 public:
  Workspace(const Network& network, std::size_t threads);
  [[nodiscard]] float* features(std::size_t buffer) const {
    return reinterpret_cast<float*>(features_.data()) + buffer * feature_count_;
  }
  [[nodiscard]] float* kept() const { return features(2); }
  [[nodiscard]] std::byte* scratch(std::size_t slot) const { return scratch_.data() + slot * scratch_bytes_; }

 private:
  std::size_t feature_count_, scratch_bytes_;
  Block features_, scratch_;
};

/// input: input_shape, for images in [0, 1]; output: output_shape. The workspace is of this network and of at least as
/// many threads. It does not throw, allocate or check.
void run(const Network& network, const Machine& machine, const float* input, Workspace& workspace, float* output);

}  // namespace medsam::backends::native
