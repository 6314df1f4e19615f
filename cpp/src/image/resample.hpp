// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Images of numbers in another size: separable, exact at the borders.
#pragma once

#include <cstdint>
#include <vector>

namespace medsam {

/// How one side is resampled: coordinate v lies at (v + 0.5) * to / from - 0.5.
struct Resampling {
  std::int64_t from = 1, to = 1;  // pixels

  [[nodiscard]] double scale() const { return static_cast<double>(to) / static_cast<double>(from); }
  [[nodiscard]] double position(double v) const { return (v + 0.5) * scale() - 0.5; }
  bool operator==(const Resampling&) const = default;
};

/// One output pixel of a line: the input pixels first, first + 1, ... and their weights, which sum to 1.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

/// Linear between the centers of the pixels, as torch's interpolate; where the line shrinks, a triangle as wide as the
/// pixels that fall on one.
std::vector<Taps> linear_taps(const Resampling& line);
/// The mean of what an output pixel covers, as OpenCV's INTER_AREA; linear where the line does not shrink.
std::vector<Taps> area_taps(const Resampling& line);

/// (rows, columns, channels), dense, to (down.size(), across.size(), channels).
std::vector<float> resampled(const std::vector<float>& values, std::int64_t columns, int channels,
                             const std::vector<Taps>& down, const std::vector<Taps>& across);

}  // namespace medsam
