// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Applies a resolved window to a slice. The build keeps products and sums apart here (-ffp-contract=off): NumPy, whose
// results these are bit for bit, rounds each.
#include <bit>
#include <cstdlib>
#include <string>

#include "image/views.hpp"
#include "medsam/error.hpp"
#include "medsam/window.hpp"
#include "window/samples.hpp"

namespace medsam {

namespace {

// Added to a number below 2^51, it leaves no bits for a fraction: the sum is rounded half to even, and its lowest bits
// are the whole number. A loop of it becomes vector instructions on every processor, which one of nearbyint does not.
constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52

/// A row of values, clipped and stretched. NaN takes the lower end of both clips.
template <class T>
void stretch_row(const IntensityWindow& window, const T* values, std::int64_t count, std::uint8_t* out) noexcept {
  const double low = window.low, high = window.high, darkest = window.darkest;
  const double range = window.brightest - window.darkest;
  for (std::int64_t x = 0; x < count; ++x) {
    const auto value = static_cast<double>(values[x]);
    const double raised = value > low ? value : low;
    const double clipped = raised < high ? raised : high;
    // Padding may lie outside of what was measured.
    const double share = (clipped - darkest) / range;
    const double above = share > 0 ? share : 0;
    const double inside = above < 1 ? above : 1;
    out[x] = static_cast<std::uint8_t>(std::bit_cast<std::uint64_t>(inside * 255.0 + kRounder));
  }
}

template <class T>
void show_row(const IntensityWindow& window, const T* values, std::int64_t count, std::uint8_t* out) noexcept {
  if (window.rule == IntensityWindow::Rule::padding) {
    for (std::int64_t x = 0; x < count; ++x) out[x] = static_cast<std::uint8_t>(values[x]);
  } else if (!(window.brightest > window.darkest)) {
    for (std::int64_t x = 0; x < count; ++x) out[x] = 0;
  } else {
    stretch_row(window, values, count, out);
    if (!window.zeros_stay) return;
    for (std::int64_t x = 0; x < count; ++x) out[x] = values[x] == 0 ? std::uint8_t{0} : out[x];
  }
}

template <class T>
void blacken_padding(const ValueInterval& padding, const T* values, std::int64_t count, std::uint8_t* out) noexcept {
  const Within<T> is_padding(padding);
  for (std::int64_t x = 0; x < count; ++x) out[x] = is_padding(values[x]) ? std::uint8_t{0} : out[x];
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
  for_rows(slice, [&](const auto* values, std::int64_t y) {
    std::uint8_t* const row = out + y * out_row_stride;
    show_row(window, values, slice.width, row);
    if (padding) blacken_padding(*padding, values, slice.width, row);
  });
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
