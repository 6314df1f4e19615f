// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/distance.hpp"

#include <cmath>
#include <limits>

namespace medsam::session {

namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

/// The lower envelope of the parabolas (q - p)^2 + f(p) on a line of n values, `step` apart; in place.
class Envelope {
 public:
  explicit Envelope(std::int64_t n)
      : f_(static_cast<std::size_t>(n)), at_(static_cast<std::size_t>(n)), from_(static_cast<std::size_t>(n) + 1) {}

  void run(double* line, std::int64_t n, std::int64_t step) {
    for (std::int64_t q = 0; q < n; ++q) f_[static_cast<std::size_t>(q)] = line[q * step];
    std::int64_t k = -1;
    for (std::int64_t q = 0; q < n; ++q) {
      if (f(q) == kFar) continue;
      double meet = -kFar;
      while (k >= 0 && (meet = crossing(at(k), q)) <= from_[static_cast<std::size_t>(k)]) --k;
      if (k < 0) meet = -kFar;
      ++k;
      at_[static_cast<std::size_t>(k)] = q;
      from_[static_cast<std::size_t>(k)] = meet;
      from_[static_cast<std::size_t>(k) + 1] = kFar;
    }
    if (k < 0) return;  // no parabola: all stay infinite
    std::int64_t j = 0;
    for (std::int64_t q = 0; q < n; ++q) {
      while (from_[static_cast<std::size_t>(j) + 1] < static_cast<double>(q)) ++j;
      const auto d = static_cast<double>(q - at(j));
      line[q * step] = d * d + f(at(j));
    }
  }

 private:
  [[nodiscard]] double f(std::int64_t q) const { return f_[static_cast<std::size_t>(q)]; }
  [[nodiscard]] std::int64_t at(std::int64_t k) const { return at_[static_cast<std::size_t>(k)]; }
  /// Where the parabolas of p < q have one value.
  [[nodiscard]] double crossing(std::int64_t p, std::int64_t q) const {
    const auto a = static_cast<double>(p), b = static_cast<double>(q);
    return ((f(q) + b * b) - (f(p) + a * a)) / (2 * (b - a));
  }

  std::vector<double> f_;
  std::vector<std::int64_t> at_;  // whose parabola is the lowest from from_[k] on
  std::vector<double> from_;
};

}  // namespace

std::vector<float> distance_to(const PlaneMask& mask, std::uint8_t to) {
  std::vector<double> squares(mask.values.size());
  for (std::size_t i = 0; i < squares.size(); ++i) squares[i] = mask.values[i] == to ? 0 : kFar;
  Envelope envelope(std::max(mask.rows, mask.columns));
  for (std::int64_t x = 0; x < mask.columns; ++x) envelope.run(squares.data() + x, mask.rows, mask.columns);
  for (std::int64_t y = 0; y < mask.rows; ++y) envelope.run(squares.data() + y * mask.columns, mask.columns, 1);
  std::vector<float> distances;
  distances.reserve(squares.size());
  for (const double square : squares) distances.push_back(static_cast<float>(std::sqrt(square)));
  return distances;
}

std::vector<float> signed_distance(const PlaneMask& mask) {
  std::vector<float> out = distance_to(mask, 0);
  const std::vector<float> outside = distance_to(mask, 1);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = mask.values[i] != 0 ? out[i] - 0.5f : 0.5f - outside[i];
  return out;
}

}  // namespace medsam::session
