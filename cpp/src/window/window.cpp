// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Resolves a window: the passes over all slices of a volume.
#include "medsam/window.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/number_text.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "window/positive_percentiles.hpp"
#include "window/samples.hpp"
#include "window/window_word.hpp"

namespace medsam {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLowPercentile = 0.5, kHighPercentile = 99.5;

/// The slices of a volume and what is padding in each.
struct Measured {
  std::int64_t depth;
  SampleType type;
  const SliceSource& slices;
  const std::vector<std::optional<ValueInterval>>& padding;

  /// Calls `take(values, count, is_padding)` for each row of each slice; is_padding is a functor of one value.
  template <class Take>
  void for_each_row(const Take& take) const {
    for (std::int64_t k = 0; k < depth; ++k) {
      const SampleView slice = slices(k);
      if (slice.type != type) {
        throw InvalidArgument("window: got slice " + std::to_string(k) +
                              " of another sample type, expected that of the volume for all");
      }
      check_samples(slice);
      const std::optional<ValueInterval> hidden = padding.empty() ? std::nullopt : padding[static_cast<std::size_t>(k)];
      for_rows(slice, [&]<class T>(const T* values, std::int64_t) {
        if (hidden) {
          take(values, slice.width, Within<T>(*hidden));
        } else {
          take(values, slice.width, [](T) { return std::false_type(); });
        }
      });
    }
  }
};

/// The smallest and the largest value so far.
struct Ends {
  double low = kInfinity, high = -kInfinity;
  bool any = false, nan = false;
};

template <class T, class IsPadding>
void widen(const T* values, std::int64_t count, const IsPadding& is_padding, Ends& ends) {
  T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
  if constexpr (std::is_floating_point_v<T>) {
    low = std::numeric_limits<T>::infinity();
    high = -low;
  }
  bool any = false, nan = false;
  for (std::int64_t i = 0; i < count; ++i) {
    const T value = values[i];
    const bool shown = !is_padding(value);
    any |= shown;
    nan |= value != value && shown;
    low = shown && value < low ? value : low;
    high = shown && value > high ? value : high;
  }
  ends.nan |= nan;
  if (!any) return;
  ends.any = true;
  ends.low = std::min(ends.low, static_cast<double>(low));
  ends.high = std::max(ends.high, static_cast<double>(high));
}

void check_ends(const Ends& ends) {
  if (!ends.nan) return;
  throw InvalidArgument(
      "window: got a value that is NaN, expected numbers; replace it, or name it as padding where it is a number");
}

IntensityWindow stretched(const Ends& ends, double low, double high, bool zeros_stay) {
  IntensityWindow window;
  window.rule = IntensityWindow::Rule::stretch;
  if (!ends.any) return window;  // nothing is shown
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

IntensityWindow clip_window(const Measured& volume, double low, double high) {
  Ends ends;
  volume.for_each_row(
      [&](const auto* values, std::int64_t count, const auto& is_padding) { widen(values, count, is_padding, ends); });
  check_ends(ends);
  return stretched(ends, low, high, false);
}

/// Calls `take` for every value above 0 that is no padding, rounded to float.
template <class T, class IsPadding, class Take>
void for_positive(const T* values, std::int64_t count, const IsPadding& is_padding, const Take& take) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (values[i] > 0 && !is_padding(values[i])) take(static_cast<float>(values[i]));
  }
}

IntensityWindow percentile_window(const Measured& volume) {
  Ends ends;
  PositivePercentiles positive({kLowPercentile, kHighPercentile});
  volume.for_each_row([&](const auto* values, std::int64_t count, const auto& is_padding) {
    widen(values, count, is_padding, ends);
    for_positive(values, count, is_padding, [&](float value) { positive.count_upper(value); });
  });
  check_ends(ends);
  if (!positive.find_heads()) return stretched({}, 0, 0, false);
  volume.for_each_row([&](const auto* values, std::int64_t count, const auto& is_padding) {
    for_positive(values, count, is_padding, [&](float value) { positive.count_lower(value); });
  });
  const std::vector<double> found = positive.values();
  if (!std::isfinite(found[0]) || !std::isfinite(found[1])) {
    throw InvalidArgument("window: got percentiles of " + number_text(found[0]) + " and " + number_text(found[1]) +
                          ", expected finite ones in float; replace values that are not, or give WIDTH,LEVEL");
  }
  return stretched(ends, found[0], found[1], true);
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
    if (by_default || options.window == "none") return {};
    throw InvalidArgument("window: got " + options.window + " for a color image, expected none; leave it out");
  }
  IntensityWindow window;
  if (by_default && type == SampleType::u8) {
    if (any_padding(options)) window.rule = IntensityWindow::Rule::padding;
    return window;
  }
  const std::string word = by_default ? default_window(options.modality, options.hounsfield) : options.window;
  const WindowWord wanted = window_word(word, options.hounsfield);
  const Measured volume{depth, type, slices, options.padding};
  switch (wanted.kind) {
    case WindowWord::Kind::none:
      break;
    case WindowWord::Kind::percentile:
      return percentile_window(volume);
    case WindowWord::Kind::full:
      return clip_window(volume, -kInfinity, kInfinity);
    case WindowWord::Kind::clip:
      return clip_window(volume, wanted.low, wanted.high);
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
