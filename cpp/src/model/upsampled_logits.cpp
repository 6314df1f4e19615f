// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/upsampled_logits.hpp"

#include <algorithm>

#include "medsam/error.hpp"

namespace medsam {

UpsampledLogits::UpsampledLogits(const ShownLogits& shown)
    : size_(unpadded_size(shown.geometry, shown.logits.height, shown.logits.width)),
      scale_y_(static_cast<float>(size_.height) / static_cast<float>(shown.geometry.height)),
      stride_(shown.logits.tensor->shape().at(3)),
      row_(static_cast<std::size_t>(size_.width)) {
  const backends::Shape& shape = shown.logits.tensor->shape();
  if (shape.at(2) < size_.height || shape[3] < size_.width || shown.logits.index >= shape[0] * shape[1]) {
    throw BackendError("mask: got logits of fewer rows or columns than the image takes; report this");
  }
  logits_ = shown.logits.tensor->host() + shown.logits.index * shape[2] * shape[3];
  const float scale_x = static_cast<float>(size_.width) / static_cast<float>(shown.geometry.width);
  taps_.reserve(static_cast<std::size_t>(shown.geometry.width));
  for (std::int64_t x = 0; x < shown.geometry.width; ++x) {
    taps_.push_back(kernels::bilinear_tap(x, scale_x, size_.width));
  }
}

void UpsampledLogits::set_row(std::int64_t y) {
  const kernels::BilinearTap tap = kernels::bilinear_tap(y, scale_y_, size_.height);
  const float *top = logits_ + tap.i0 * stride_, *bottom = logits_ + tap.i1 * stride_;
  for (std::size_t i = 0; i < row_.size(); ++i) row_[i] = tap.w0 * top[i] + tap.w1 * bottom[i];
}

float UpsampledLogits::greatest() const { return *std::max_element(row_.begin(), row_.end()); }

}  // namespace medsam
