// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/preprocess.hpp"

#include "base/scratch.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"

namespace medsam {

// The enumerations list the same names; the kernels depend on nothing, so they have their own.
static_assert(static_cast<int>(PixelType::u8) == static_cast<int>(kernels::PixelType::u8));
static_assert(static_cast<int>(PixelType::u16) == static_cast<int>(kernels::PixelType::u16));
static_assert(static_cast<int>(PixelType::i16) == static_cast<int>(kernels::PixelType::i16));
static_assert(static_cast<int>(PixelType::f32) == static_cast<int>(kernels::PixelType::f32));
static_assert(static_cast<int>(Interpolation::area) == static_cast<int>(kernels::Interpolation::area));
static_assert(static_cast<int>(Interpolation::linear) == static_cast<int>(kernels::Interpolation::linear));
static_assert(static_cast<int>(Interpolation::cubic) == static_cast<int>(kernels::Interpolation::cubic));
static_assert(static_cast<int>(Interpolation::spline) == static_cast<int>(kernels::Interpolation::spline));
static_assert(static_cast<int>(Interpolation::antialiased) == static_cast<int>(kernels::Interpolation::antialiased));
static_assert(static_cast<int>(NormalizeKind::min_max) == static_cast<int>(kernels::Normalize::min_max));
static_assert(static_cast<int>(NormalizeKind::min_max_padded) == static_cast<int>(kernels::Normalize::min_max_padded));
static_assert(static_cast<int>(NormalizeKind::mean_std) == static_cast<int>(kernels::Normalize::mean_std));

void preprocess(const CheckedImage& image, const ImageGeometry& geometry, const ImageRules& rules,
                backends::Request& request) {
  const kernels::Pixels pixels{image->data,     static_cast<kernels::PixelType>(image->type),
                               image->height,   image->width,
                               image->channels, image->row_stride};
  kernels::ResizeNormalizeParams params{};
  params.new_height = geometry.new_height;
  params.new_width = geometry.new_width;
  params.out_size = geometry.input_size;
  params.interpolation = static_cast<kernels::Interpolation>(rules.interpolation);
  params.normalize = static_cast<kernels::Normalize>(rules.normalize);
  params.min_range = rules.min_range;
  for (std::size_t c = 0; c < rules.mean.size(); ++c) {
    params.mean[c] = static_cast<float>(rules.mean[c]);
    params.stddev[c] = static_cast<float>(rules.std[c]);
  }
  if (request.input_image(0, pixels, params)) return;
  auto* out = static_cast<float*>(request.input(0, {1, 3, params.out_size, params.out_size}));
  const kernels::KernelTable& table = kernels::table();
  const Scratch scratch(table.resize_normalize_scratch(pixels, params));
  if (!table.resize_normalize(pixels, params, out, scratch.data())) {
    throw InvalidArgument(backends::kImageNotFinite);
  }
}

}  // namespace medsam
