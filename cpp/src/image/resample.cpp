// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/resample.hpp"

#include <algorithm>
#include <cmath>

namespace medsam {

namespace {

/// The taps of weights that are not normalized yet: weight(k) of input pixel k, for k from low to high.
template <class Weight>
Taps taps(std::int64_t low, std::int64_t high, std::int64_t count, Weight&& weight) {
  Taps out;
  out.first = std::clamp<std::int64_t>(low, 0, count - 1);
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t k = out.first; k <= std::clamp<std::int64_t>(high, 0, count - 1); ++k) {
    weights.push_back(std::max(0.0, weight(static_cast<double>(k))));
    sum += weights.back();
  }
  for (const double w : weights) out.weights.push_back(static_cast<float>(w / sum));
  return out;
}

}  // namespace

std::vector<Taps> linear_taps(const Resampling& line) {
  const double step = 1 / line.scale(), radius = std::max(1.0, step);
  std::vector<Taps> all;
  all.reserve(static_cast<std::size_t>(line.to));
  for (std::int64_t i = 0; i < line.to; ++i) {
    const double center =
        std::clamp((static_cast<double>(i) + 0.5) * step - 0.5, 0.0, static_cast<double>(line.from - 1));
    all.push_back(taps(static_cast<std::int64_t>(std::ceil(center - radius)),
                       static_cast<std::int64_t>(std::floor(center + radius)), line.from,
                       [&](double k) { return 1 - std::abs(k - center) / radius; }));
  }
  return all;
}

std::vector<Taps> area_taps(const Resampling& line) {
  if (line.to >= line.from) return linear_taps(line);
  const double step = 1 / line.scale();
  std::vector<Taps> all;
  all.reserve(static_cast<std::size_t>(line.to));
  for (std::int64_t i = 0; i < line.to; ++i) {
    const double begin = static_cast<double>(i) * step, end = begin + step;
    all.push_back(taps(static_cast<std::int64_t>(std::floor(begin)), static_cast<std::int64_t>(std::ceil(end)) - 1,
                       line.from, [&](double k) { return std::min(end, k + 1) - std::max(begin, k); }));
  }
  return all;
}

std::vector<float> resampled(const std::vector<float>& values, std::int64_t columns, int channels,
                             const std::vector<Taps>& down, const std::vector<Taps>& across) {
  const std::int64_t rows = static_cast<std::int64_t>(values.size()) / (columns * channels);
  const std::int64_t line = static_cast<std::int64_t>(across.size()) * channels;
  std::vector<float> wide(static_cast<std::size_t>(rows * line));
  for (std::int64_t y = 0; y < rows; ++y) {
    const float* row = values.data() + y * columns * channels;
    float* to = wide.data() + y * line;
    for (const Taps& taps : across) {
      const float* from = row + taps.first * channels;
      for (int c = 0; c < channels; ++c, ++to) {
        float sum = 0;
        for (std::size_t k = 0; k < taps.weights.size(); ++k) {
          sum += taps.weights[k] * from[static_cast<std::int64_t>(k) * channels + c];
        }
        *to = sum;
      }
    }
  }
  std::vector<float> out(down.size() * static_cast<std::size_t>(line));
  for (std::size_t y = 0; y < down.size(); ++y) {
    float* to = out.data() + static_cast<std::int64_t>(y) * line;
    for (std::size_t k = 0; k < down[y].weights.size(); ++k) {
      const float* from = wide.data() + (down[y].first + static_cast<std::int64_t>(k)) * line;
      const float weight = down[y].weights[k];
      for (std::int64_t i = 0; i < line; ++i) to[i] += weight * from[i];
    }
  }
  return out;
}

}  // namespace medsam
