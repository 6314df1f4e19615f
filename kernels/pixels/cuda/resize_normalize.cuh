// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Resize + normalize + pad. With a mean and deviation: the plan, then one kernel from pixels to planes. With the range
// of the resized image: the plan, a kernel that resizes and finds the range, and one that normalizes. The samples are
// those of resized_sample.hpp, so the bits are the oracle's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/pixels/cuda/lane.cuh"
#include "kernels/pixels/math/axis_weights.hpp"
#include "kernels/pixels/math/normalize_plan.hpp"
#include "kernels/pixels/math/resized_sample.hpp"

namespace medsam::kernels::cuda {

/// Range of the resized image, as ordered integers.
struct RangeState {
  std::int32_t lo, hi;
};

inline constexpr RangeState kEmptyRange{kHighest<std::int32_t>, kLowest<std::int32_t>};

/// Everything that resize_normalize carves out of its workspace.
struct ResizeLayout {
  ResizePlan plan;
  RangeState* range;   // null where no range is needed
  std::byte* resized;  // dense, in the pixel type; null where the source or the planes take its place
};

inline ResizeLayout lay_out(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  ResizeLayout layout{};
  layout.plan = lay_out_resize_plan(image, params, carver);
  if (!needs_range(params)) return layout;
  layout.range = carver.take<RangeState>(1);
  if (layout.plan.path == ResizePath::copy) return layout;
  const auto samples = static_cast<std::size_t>(params.new_height * params.new_width * image.channels);
  layout.resized = carver.take<std::byte>(samples * pixel_bytes(image.type));
  return layout;
}

/// Fills the plan in and resets the range and the flag.
struct PrepareResize {
  ResizePlan plan;
  std::int64_t height, width, new_height, new_width;
  bool fixed;
  RangeState* range;
  std::int32_t* finite;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    for (std::int64_t i = lane.x; i < new_width; i += lane.step_x) fill_axis(i, width, new_width, true, fixed, plan);
    for (std::int64_t i = lane.x; i < new_height; i += lane.step_x) {
      fill_axis(i, height, new_height, false, fixed, plan);
    }
    if (lane.x != 0) return;
    *finite = 1;
    if (range != nullptr) *range = {kEmptyRange.lo, kEmptyRange.hi};
  }
};

/// Looks at every sample of an f32 image, also those that no output pixel uses.
struct CheckFinite {
  Pixels image;
  std::int32_t* finite;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    bool all = true;
    for (std::int64_t y = lane.y; y < image.height; y += lane.step_y) {
      const float* row = image_row<float>(image, y);
      for (std::int64_t i = lane.x; i < image.width * image.channels; i += lane.step_x) all = all && is_finite(row[i]);
    }
    if (!all) write_flag(finite, 0);
  }
};

/// Resizes, unless `resized` is null (equal sizes), and finds the range.
template <typename T>
struct ResizeAndRange {
  Pixels image;
  ResizePlan plan;
  std::int64_t new_height, new_width;
  T* resized;
  RangeState* range;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    RangeState mine{kEmptyRange.lo, kEmptyRange.hi};
    const std::int64_t samples = new_width * image.channels;
    for (std::int64_t y = lane.y; y < new_height; y += lane.step_y) {
      for (std::int64_t i = lane.x; i < samples; i += lane.step_x) {
        const std::int64_t x = image.channels == 1 ? i : i / 3;
        const T sample = resized_sample<T>(image, plan, y, x, static_cast<int>(i - x * image.channels));
        if (resized != nullptr) resized[y * samples + i] = sample;
        const std::int32_t ordered = ordered_of(static_cast<float>(sample));
        mine = {lesser(mine.lo, ordered), greater(mine.hi, ordered)};
      }
    }
    reduce_min(&range->lo, mine.lo);
    reduce_max(&range->hi, mine.hi);
  }
};

/// Normalizes into three planes and pads. `plan` says how the samples come from `image`: the source, or the resized
/// image with a plan that copies.
template <typename T>
struct NormalizePad {
  Pixels image;
  ResizePlan plan;
  ResizeNormalizeParams params;
  const RangeState* range;
  std::int32_t* finite;
  float* out;

  MEDSAM_HOST_DEVICE void operator()(const Lane& lane) const noexcept {
    ValueRange values{};
    if (range != nullptr) values = {float_of_ordered(range->lo), float_of_ordered(range->hi)};
    // The size that it looks at, with a range, is that of `image`: then it is the resized one.
    const NormalizePlan to = make_normalize_plan(image, params, values);
    if (!to.finite && lane.x == 0 && lane.y == 0) write_flag(finite, 0);
    const std::int64_t size = params.out_size, plane = size * size;
    for (std::int64_t y = lane.y; y < size; y += lane.step_y) {
      for (std::int64_t x = lane.x; x < size; x += lane.step_x) {
        write_pixel(y, x, y < params.new_height && x < params.new_width, to, out + y * size + x, plane);
      }
    }
  }

  MEDSAM_HOST_DEVICE void write_pixel(std::int64_t y, std::int64_t x, bool inside, const NormalizePlan& to, float* at,
                                      std::int64_t plane) const noexcept {
    float v = 0.F;
    for (int c = 0; c < 3; ++c) {
      if (inside && c < image.channels) v = static_cast<float>(resized_sample<T>(image, plan, y, x, c));
      at[c * plane] = inside ? normalized(v, to.offset[c], to.divisor[c]) : to.pad;
    }
  }
};

template <typename T, class Launcher>
void launch_resize_normalize(Launcher& launcher, const Pixels& image, const ResizeNormalizeParams& params,
                             const ResizeLayout& layout, float* out, std::int32_t* finite) noexcept {
  Pixels from = image;
  ResizePlan plan = layout.plan;
  if (layout.range != nullptr) {
    const std::int64_t samples = params.new_width * image.channels;
    T* resized = reinterpret_cast<T*>(layout.resized);
    launcher.launch(ResizeAndRange<T>{image, plan, params.new_height, params.new_width, resized, layout.range},
                    {samples, params.new_height});
    if (resized != nullptr) {
      from = {resized,          image.type,     params.new_height,
              params.new_width, image.channels, samples * static_cast<std::int64_t>(sizeof(T))};
      plan = ResizePlan{};
      plan.path = ResizePath::copy;
    }
  }
  launcher.launch(NormalizePad<T>{from, plan, params, layout.range, finite, out}, {params.out_size, params.out_size});
}

template <class Launcher>
void queue_resize_normalize(Launcher& launcher, const Pixels& image, const ResizeNormalizeParams& params, float* out,
                            std::int32_t* finite, void* workspace) noexcept {
  Carver carver(workspace);
  const ResizeLayout layout = lay_out(image, params, carver);
  launcher.launch(PrepareResize{layout.plan, image.height, image.width, params.new_height, params.new_width,
                                image.type == PixelType::u8, layout.range, finite},
                  {greater(params.new_height, params.new_width)});
  switch (image.type) {
    case PixelType::u8:
      launch_resize_normalize<std::uint8_t>(launcher, image, params, layout, out, finite);
      break;
    case PixelType::u16:
      launch_resize_normalize<std::uint16_t>(launcher, image, params, layout, out, finite);
      break;
    case PixelType::i16:
      launch_resize_normalize<std::int16_t>(launcher, image, params, layout, out, finite);
      break;
    case PixelType::f32:
      launcher.launch(CheckFinite{image, finite}, {image.width * image.channels, image.height});
      launch_resize_normalize<float>(launcher, image, params, layout, out, finite);
      break;
  }
}

}  // namespace medsam::kernels::cuda
