// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Applies a resolved window to a slice. The build keeps products and sums apart here (-ffp-contract=off): NumPy, whose
// results these are bit for bit, rounds each.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "image/views.hpp"
#include "medsam/error.hpp"
#include "medsam/window.hpp"
#include "window/samples.hpp"

namespace medsam {

namespace {

// Added to a number below 2^51, it leaves no bits for a fraction: the sum is rounded half to even, and its lowest bits
// are the whole number. A loop of it becomes vector instructions on every processor, which one of nearbyint does not.
constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52

/// A value, clipped and stretched. NaN takes the lower end of both clips.
inline std::uint8_t stretched(const IntensityWindow& window, double value) noexcept {
  const double raised = value > window.low ? value : window.low;
  const double clipped = raised < window.high ? raised : window.high;
  // Padding may lie outside of what was measured.
  const double share = (clipped - window.darkest) / (window.brightest - window.darkest);
  const double above = share > 0 ? share : 0;
  const double inside = above < 1 ? above : 1;
  return static_cast<std::uint8_t>(std::bit_cast<std::uint64_t>(inside * 255.0 + kRounder));
}

template <class T>
void stretch_row(const IntensityWindow& shared, const T* values, std::int64_t count, std::uint8_t* out) noexcept {
  const IntensityWindow window = shared;  // of this function, so that no write to `out` can change it
  for (std::int64_t x = 0; x < count; ++x) out[x] = stretched(window, static_cast<double>(values[x]));
}

/// What becomes of integers of at most 16 bits: a table from the darkest to the brightest one, beyond which all are as
/// these two. Not made where that would take longer than it saves.
template <class T>
class NarrowTable {
 public:
  /// For that many values.
  NarrowTable(const IntensityWindow& window, std::int64_t values)
      : first_(within(std::floor(window.darkest))), last_(within(std::ceil(window.brightest))) {
    if (last_ - first_ >= values / 2) return;
    shown_.reserve(static_cast<std::size_t>(last_ - first_) + 1);
    for (int value = first_; value <= last_; ++value) shown_.push_back(stretched(window, value));
  }

  [[nodiscard]] bool made() const noexcept { return !shown_.empty(); }

  void show(const T* values, std::int64_t count, std::uint8_t* out) const noexcept {
    const std::uint8_t* const shown = shown_.data();
    const int first = first_, last = last_;
    for (std::int64_t x = 0; x < count; ++x) {
      out[x] = shown[std::clamp<int>(values[x], first, last) - first];
    }
  }

 private:
  static int within(double number) noexcept {
    const double lowest = std::numeric_limits<T>::lowest(), highest = std::numeric_limits<T>::max();
    return static_cast<int>(std::clamp(number, lowest, highest));
  }

  int first_, last_;
  std::vector<std::uint8_t> shown_;
};

/// What `hidden` says it of becomes 0.
template <class T, class Hidden>
void blacken(const T* values, std::int64_t count, std::uint8_t* out, const Hidden& hidden) noexcept {
  for (std::int64_t x = 0; x < count; ++x) out[x] = hidden(values[x]) ? std::uint8_t{0} : out[x];
}

/// Where a slice goes.
struct Output {
  std::uint8_t* data;
  std::int64_t row_stride;
};

template <class T>
void show_slice(const IntensityWindow& window, const SampleView& slice, const std::optional<ValueInterval>& padding,
                const Output& out) {
  const std::int64_t count = slice.width;
  const auto for_rows = [&](const auto& show) {
    for (std::int64_t y = 0; y < slice.height; ++y) {
      const T* const values = row_of<T>(slice, y);
      std::uint8_t* const row = out.data + y * out.row_stride;
      show(values, row);
      if (window.zeros_stay) blacken(values, count, row, [](T value) { return value == 0; });
      if (padding) blacken(values, count, row, Within<T>(*padding));
    }
  };
  if (window.rule == IntensityWindow::Rule::padding) {
    return for_rows([&](const T* values, std::uint8_t* row) {
      for (std::int64_t x = 0; x < count; ++x) row[x] = static_cast<std::uint8_t>(values[x]);
    });
  }
  if (!(window.brightest > window.darkest)) {
    return for_rows([&](const T*, std::uint8_t* row) { std::fill_n(row, count, std::uint8_t{0}); });
  }
  if constexpr (sizeof(T) <= 2) {
    const NarrowTable<T> table(window, slice.height * count);
    if (table.made()) return for_rows([&](const T* values, std::uint8_t* row) { table.show(values, count, row); });
  }
  for_rows([&](const T* values, std::uint8_t* row) { stretch_row(window, values, count, row); });
}

void check_apply(const IntensityWindow& window, const SampleView& slice, const std::uint8_t* out,
                 std::int64_t out_row_stride) {
  check_samples(slice);
  if (window.rule == IntensityWindow::Rule::unchanged) {
    throw InvalidArgument("window: got one that leaves values unchanged, expected another rule; use the values");
  }
  if (window.rule == IntensityWindow::Rule::padding && slice.type != SampleType::u8) {
    throw InvalidArgument(
        "window: got values of another type for a window of 8-bit values, expected u8; resolve the "
        "window for these values");
  }
  if (slice.height == 0 || slice.width == 0) return;
  const std::int64_t most = std::int64_t{1} << 42;  // with the most rows, no product overflows
  if (out == nullptr || out_row_stride > most || out_row_stride < -most ||
      (slice.height > 1 && std::abs(out_row_stride) < slice.width)) {
    throw InvalidArgument("window: got out " + std::string(out == nullptr ? "at a null pointer" : "with") +
                          " a row stride of " + std::to_string(out_row_stride) + ", expected memory for " +
                          size_text(slice.height, slice.width) + " bytes");
  }
}

}  // namespace

void apply_window(const IntensityWindow& window, const SampleView& slice, const std::optional<ValueInterval>& padding,
                  std::uint8_t* out, std::int64_t out_row_stride) {
  check_apply(window, slice, out, out_row_stride);
  with_type(slice.type, [&]<class T>(T) { show_slice<T>(window, slice, padding, {out, out_row_stride}); });
}

void apply_window(const IntensityWindow& window, const VolumeView& volume, std::int64_t k,
                  const std::optional<ValueInterval>& padding, std::uint8_t* out, std::int64_t out_row_stride) {
  check_volume(volume);
  if (k < 0 || k >= volume.depth) {
    throw InvalidArgument("window: got slice " + std::to_string(k) + ", expected 0 to " +
                          std::to_string(volume.depth - 1));
  }
  apply_window(window, samples_of(slice_of(volume, k)), padding, out, out_row_stride);
}

void apply_window(const IntensityWindow& window, const ImageView& image, const std::optional<ValueInterval>& padding,
                  std::uint8_t* out, std::int64_t out_row_stride) {
  apply_window(window, samples_of(image), padding, out, out_row_stride);
}

}  // namespace medsam
