// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/crop.hpp"

#include <cstring>

#include "base/scratch.hpp"
#include "kernels/pixels/single/crop_resize.hpp"
#include "medsam/error.hpp"

namespace medsam {

std::shared_ptr<const detail::Pixels> keep_pixels(const CheckedImage& image) {
  if (image->type != PixelType::u8) {
    throw InvalidArgument(
        "image: got pixels that are not u8, expected u8: this model looks at the pixels inside a box as 0 to 255; "
        "window the image first");
  }
  auto pixels = std::make_shared<detail::Pixels>();
  pixels->height = image->height;
  pixels->width = image->width;
  pixels->channels = image->channels;
  const auto row = static_cast<std::size_t>(image->width * image->channels);
  pixels->values.resize(row * static_cast<std::size_t>(image->height));
  for (std::int64_t y = 0; y < image->height; ++y) {
    std::memcpy(pixels->values.data() + static_cast<std::size_t>(y) * row,
                static_cast<const char*>(image->data) + y * image->row_stride, row);
  }
  return pixels;
}

void crop_input(const detail::Pixels& image, const PixelBox& box, std::int64_t side, float* out) {
  const std::int64_t stride = image.width * image.channels;
  const std::uint8_t* first = image.values.data() + box.y0 * stride + box.x0 * image.channels;
  const kernels::Pixels crop{first, kernels::PixelType::u8, box.y1 - box.y0, box.x1 - box.x0, image.channels, stride};
  const Scratch scratch(kernels::crop_resize_scratch(crop, side));
  kernels::crop_resize(crop, side, out, scratch.data());
}

}  // namespace medsam
