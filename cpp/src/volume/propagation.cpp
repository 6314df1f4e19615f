// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/propagation.hpp"

#include <algorithm>

#include "base/scratch.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

struct Extent {
  std::int64_t x0 = 0, y0 = 0, x1 = -1, y1 = -1;
  [[nodiscard]] bool empty() const { return x1 < x0; }
  void add(std::int64_t x, std::int64_t y) {
    if (empty()) {
      *this = {x, y, x, y};
      return;
    }
    x0 = std::min(x0, x);
    x1 = std::max(x1, x);
    y0 = std::min(y0, y);
    y1 = std::max(y1, y);
  }
};

// bowang-lab/MedSAM LiteMedSAM:CVPR24_LiteMedSAM_infer.py: the label map goes through the image's own resize
// (INTER_AREA, rounded to its integer type), so a larger label value survives at a lower coverage.
Extent label_map_extent(const ImageGeometry& g, const LabelView& mask) {
  const kernels::PixelType type = mask.type == LabelType::u8 ? kernels::PixelType::u8 : kernels::PixelType::u16;
  const kernels::Pixels pixels{mask.data, type, mask.height, mask.width, 1, mask.row_stride};
  kernels::ResizeNormalizeParams params{};
  params.new_height = g.new_height;
  params.new_width = g.new_width;
  params.out_size = g.input_size;
  params.interpolation = kernels::Interpolation::area;
  params.normalize = kernels::Normalize::mean_std;  // with mean 0 and std 1: the rounded values themselves
  std::fill(std::begin(params.stddev), std::end(params.stddev), 1.0f);
  const kernels::KernelTable& table = kernels::table();
  const Scratch scratch(table.resize_normalize_scratch(pixels, params));
  const auto plane = static_cast<std::size_t>(g.input_size * g.input_size);
  const Scratch resized(3 * plane * sizeof(float));
  auto* values = static_cast<float*>(resized.data());
  static_cast<void>(table.resize_normalize(pixels, params, values, scratch.data()));
  Extent extent;
  for (std::int64_t y = 0; y < g.new_height; ++y) {
    for (std::int64_t x = 0; x < g.new_width; ++x) {
      if (values[y * g.input_size + x] > 0) extent.add(x, y);
    }
  }
  return extent;
}

// cv2.resize with INTER_NEAREST: destination x samples source floor(x * W / new_width).
Extent nearest_extent(const ImageGeometry& g, const LabelView& mask, const MaskStats& stats) {
  const auto* values = static_cast<const std::uint8_t*>(mask.data);
  const double step_x = static_cast<double>(g.width) / static_cast<double>(g.new_width);
  const double step_y = static_cast<double>(g.height) / static_cast<double>(g.new_height);
  Extent extent;
  for (std::int64_t y = 0; y < g.new_height; ++y) {
    const auto sy = std::min(static_cast<std::int64_t>(static_cast<double>(y) * step_y), g.height - 1);
    if (sy < stats.y0 || sy > stats.y1) continue;
    for (std::int64_t x = 0; x < g.new_width; ++x) {
      const auto sx = std::min(static_cast<std::int64_t>(static_cast<double>(x) * step_x), g.width - 1);
      if (values[sy * mask.row_stride + sx] != 0) extent.add(x, y);
    }
  }
  return extent;
}

// A box in the encoder's input frame, in the prompt frame.
PromptBox from_input_frame(const ImageGeometry& g, const Extent& extent) {
  const double scale = g.prompt_frame / static_cast<double>(g.input_size);
  const auto mapped = [&](std::int64_t v) { return static_cast<float>(static_cast<double>(v) * scale); };
  return {{mapped(extent.x0), mapped(extent.y0), mapped(extent.x1), mapped(extent.y1)}, {}};
}

}  // namespace

bool next_prompt_box(const ImageGeometry& g, const VolumeRules& rules, BoxRounding rounding, const LabelView& mask,
                     const MaskStats& stats, PromptBox& next) {
  const bool wide = rules.next_box == NextBox::label_map && rules.label_type == LabelType::u16;
  if (mask.height != g.height || mask.width != g.width || mask.type != (wide ? LabelType::u16 : LabelType::u8)) {
    throw BackendError("volume: got a mask of another size or type than its slice's; report this");
  }
  if (stats.area == 0 || rules.next_box == NextBox::user) return false;
  if (rules.next_box == NextBox::mask) {
    next = user_prompt_box(g,
                           {static_cast<double>(stats.x0), static_cast<double>(stats.y0), static_cast<double>(stats.x1),
                            static_cast<double>(stats.y1)},
                           rounding);
  } else {
    const Extent extent =
        rules.next_box == NextBox::label_map ? label_map_extent(g, mask) : nearest_extent(g, mask, stats);
    if (extent.empty()) return false;
    next = from_input_frame(g, extent);
  }
  // get_bbox of the published scripts: +- shift, clamped to [0, side] (the side itself included).
  const auto shift = static_cast<float>(rules.box_shift);
  const auto side = static_cast<float>(g.prompt_frame);
  next.corners[0] = std::max(0.0f, next.corners[0] - shift);
  next.corners[1] = std::max(0.0f, next.corners[1] - shift);
  next.corners[2] = std::min(side, next.corners[2] + shift);
  next.corners[3] = std::min(side, next.corners[3] + shift);
  next.crop_box = grown_pixel_box(stats, static_cast<std::int64_t>(rules.box_shift), g.height, g.width);
  return true;
}

}  // namespace medsam
