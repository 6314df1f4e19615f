// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Resolves a window.
#include "medsam/window.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/number_text.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "window/measure.hpp"
#include "window/samples.hpp"
#include "window/window_word.hpp"

namespace medsam {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLowPercentile = 0.5, kHighPercentile = 99.5;

IntensityWindow stretched(const ValueEnds& ends, double low, double high, bool zeros_stay) {
  IntensityWindow window;
  window.rule = IntensityWindow::Rule::stretch;
  if (!ends.any()) return window;  // nothing is shown
  window.low = low;
  window.high = high;
  window.darkest = std::min(std::max(ends.low, low), high);
  window.brightest = std::min(std::max(ends.high, low), high);
  window.zeros_stay = zeros_stay;
  if (!std::isfinite(window.brightest - window.darkest)) {
    throw InvalidArgument("window: got values from " + number_text(window.darkest) + " to " +
                          number_text(window.brightest) +
                          ", expected finite ones whose difference is finite; replace those that are not, or give "
                          "WIDTH,LEVEL");
  }
  return window;
}

IntensityWindow percentile_window(const MeasuredVolume& volume) {
  const PercentileEnds found = measure_percentiles(volume, {kLowPercentile, kHighPercentile});
  if (found.percentiles.empty()) return stretched({}, 0, 0, false);
  const double low = found.percentiles[0], high = found.percentiles[1];
  if (!std::isfinite(low) || !std::isfinite(high)) {
    throw InvalidArgument("window: got percentiles of " + number_text(low) + " and " + number_text(high) +
                          ", expected finite ones in float; replace values that are not, or give WIDTH,LEVEL");
  }
  return stretched(found.all, low, high, true);
}

void check_padding(std::int64_t depth, const WindowOptions& options) {
  if (options.padding.empty() || static_cast<std::int64_t>(options.padding.size()) == depth) return;
  throw InvalidArgument("padding: got " + std::to_string(options.padding.size()) + " intervals for " +
                        std::to_string(depth) + " slices, expected one for each slice, or none at all");
}

bool any_padding(const WindowOptions& options) {
  return std::any_of(options.padding.begin(), options.padding.end(), [](const auto& p) { return p.has_value(); });
}

}  // namespace

IntensityWindow resolve_window(std::int64_t depth, SampleType type, const SliceSource& slices,
                               const WindowOptions& options) {
  (void)sample_bytes(type);
  if (depth < 0) throw InvalidArgument("window: got " + std::to_string(depth) + " slices, expected 0 or more");
  check_padding(depth, options);
  const bool by_default = options.window.empty();
  if (options.color) {
    if (by_default || is_none(options.window)) return {};
    throw InvalidArgument("window: got " + options.window + " for a color image, expected none; leave it out");
  }
  IntensityWindow window;
  if (by_default && type == SampleType::u8) {
    if (any_padding(options)) window.rule = IntensityWindow::Rule::padding;
    return window;
  }
  const std::string word = by_default ? default_window(options.modality, options.hounsfield) : options.window;
  const WindowWord wanted = window_word(word, options.hounsfield);
  const MeasuredVolume volume{depth, type, slices, options.padding};
  switch (wanted.kind) {
    case WindowWord::Kind::none:
      break;
    case WindowWord::Kind::percentile:
      return percentile_window(volume);
    case WindowWord::Kind::full:
      return stretched(measure_ends(volume), -kInfinity, kInfinity, false);
    case WindowWord::Kind::clip:
      return stretched(measure_ends(volume), wanted.low, wanted.high, false);
  }
  return window;
}

IntensityWindow resolve_window(const VolumeView& volume, const WindowOptions& options) {
  check_volume(volume);
  WindowOptions known = options;
  known.color = options.color || volume.channels != 1;
  return resolve_window(
      volume.depth, sample_type(volume.type), [&](std::int64_t k) { return samples_of(slice_of(volume, k)); }, known);
}

IntensityWindow resolve_window(const ImageView& image, const WindowOptions& options) {
  check_image(image);
  WindowOptions known = options;
  known.color = options.color || image.channels != 1;
  return resolve_window(
      1, sample_type(image.type), [&](std::int64_t) { return samples_of(image); }, known);
}

}  // namespace medsam
