// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Layers from a weights file that is not trusted: what a few numbers of its header make of its weights is bounded
// before memory is asked for. Every function may raise ModelError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/native/layers.hpp"
#include "backends/native/weights.hpp"

namespace medsam::backends::native {

class LayerReader {
 public:
  /// `weights` must outlive this.
  explicit LayerReader(const Weights& weights);

  [[nodiscard]] const Weights& weights() const { return weights_; }

  [[nodiscard]] std::vector<float> values(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// (in, columns), of which `grid` rows are computed at a time; a multiple of 32 columns. A layer without a bias is
  /// one of an architecture that has none there.
  [[nodiscard]] Linear linear(const std::string& name, std::int64_t in, std::int64_t grid, Format format,
                              bool biased = true) const;
  /// 3x3, over rows of `grid` pixels with a border: (9 * in, columns).
  [[nodiscard]] Linear convolution(const std::string& name, std::int64_t in, std::int64_t grid, Format format) const;
  [[nodiscard]] Depthwise depthwise(const std::string& name, std::int64_t channels) const;
  [[nodiscard]] Norm norm(const std::string& name, std::int64_t channels, float epsilon) const;
  /// Channels of a layer, of which `grid` rows are computed at a time.
  [[nodiscard]] std::int64_t columns(const std::string& name, std::int64_t grid) const;

  /// Refuses more channels of grid x grid than are kept of a whole image between two passes.
  void check_features(const std::string& name, std::int64_t grid, std::int64_t channels) const;
  /// Counts a block, and refuses too many.
  void take_block();
  /// Counts bytes of tables that are computed, and refuses too many.
  void take_tables(std::uint64_t bytes);

 private:
  const Weights& weights_;
  std::uint64_t table_bytes_;  // left
  std::size_t blocks_ = 0;
};

}  // namespace medsam::backends::native
